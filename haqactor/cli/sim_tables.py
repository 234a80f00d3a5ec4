"""How runs and swarms are shown to people.

One rule: what is wrong stands last, where the eye is when a command has ended.
"""

from typing import TYPE_CHECKING, Any

from haqactor.cli.output import print_table

if TYPE_CHECKING:
    from haqactor.sim.search.seedrun import Outcome
    from haqactor.sim.search.summary import Summary

_MESSAGE_MAX = 90


def show_run(outcome: "Outcome") -> None:
    """One run: figures, and which faults fired."""
    rows: list[tuple[str, Any]] = [
        ("seed", str(outcome.seed)),
        ("verdict", outcome.verdict.value),
        ("trace hash", outcome.digest),
        ("simulated s", outcome.simulated_ns / 1e9),
        ("CPU s", outcome.cpu_s),
        ("messages", outcome.messages),
        ("confirmed", outcome.confirmed),
        ("delivered", outcome.delivered),
        ("faults", ", ".join(f"{kind} {count}" for kind, count in sorted(outcome.fired.items())) or "none"),
    ]
    print_table(("what", "value"), [(name, _cell(value)) for name, value in rows])


def show_swarm(found: "Summary") -> None:
    """Faults, marks, figures, and the failures."""
    if found.fired:
        print_table(
            ("fault", "times", "seeds"),
            [(kind, count, found.seeds_with.get(kind, 0)) for kind, count in sorted(found.fired.items())],
        )
    verdicts = ", ".join(f"{count:,} {name}" for name, count in found.verdicts.items()) or "none"
    rows = [
        ("seeds", f"{len(found.results):,}: {verdicts}" + (" (interrupted)" if found.interrupted else "")),
        ("never fired", ", ".join(found.never_fired) or "none"),
        ("marks reached", f"{len(found.marks):,}"),
        ("marks never reached", ", ".join(found.unreached) or "none"),
        ("rare marks not reached", ", ".join(found.missed_rarely) or "none"),
        ("confirmed, median", f"{found.confirmed_median:,}"),
        ("run twice", f"{sum(outcome.checked for outcome in found.results):,}"),
        ("simulated hours", f"{found.simulated_hours:,.2f}"),
        ("CPU s", f"{found.cpu_s:,.1f}"),
        ("seeds/s", f"{found.seeds_per_s:,.2f}"),
    ]
    print_table(("what", "value"), rows)
    if found.failures:
        print_table(
            ("seed", "verdict", "invariant", "at s", "what"),
            [
                (
                    str(outcome.seed),
                    outcome.verdict.value,
                    outcome.invariant,
                    "-" if outcome.at_ns is None else f"{outcome.at_ns / 1e9:.3f}",
                    first_line(outcome.message),
                )
                for outcome in found.failures
            ],
        )


def first_line(text: str) -> str:
    """Of a message, cut."""
    line = text.partition("\n")[0]
    return line if len(line) <= _MESSAGE_MAX else line[: _MESSAGE_MAX - 1] + "…"


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.3f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
