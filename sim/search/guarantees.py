"""The page of what is promised and under which faults it was watched: properties by kinds of faults, with the
simulated hours, from the results of swarms.

One rule: a cell says how long a checker has watched while such faults came, and how often it was broken; a
kind of fault that never came has no hours, whatever was planned.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from haqactor.sim.checkers.registry import checkers
from haqactor.sim.profiles import LIES, PROFILES, UNBOUNDED
from haqactor.sim.search.families import FAMILIES, family
from haqactor.sim.search.seedrun import CORES, NODES

BEGIN: Final = "<!-- simulated: written by `haq sim guarantees` -->"
END: Final = "<!-- end of simulated -->"


class GuaranteesError(ValueError):
    """This is no result of a swarm, or no page to write into."""


def section(results: Sequence[Mapping[str, Any]]) -> str:
    """The part of the page, in Markdown. ``results``: what ``haq sim swarm -o json`` printed. Raises
    GuaranteesError."""
    for result in results:
        if not isinstance(result.get("families"), dict) or result.get("bugs") != []:
            raise GuaranteesError("a result of `haq sim swarm -o json`, without planted bugs, is wanted")
    unjudged = (
        *UNBOUNDED,
        *(name for name, kinds in PROFILES.items() if any(kind in LIES for kind in kinds)),
    )
    judged = [each for each in results if each["profile"] not in unjudged]
    whole = [each for each in judged if each["simulator"] == NODES]
    lines = [BEGIN, "", *_totals(results), ""]
    if whole:
        lines += [*_matrix(whole), "", *_kinds(whole), ""]
    return "\n".join([*lines, END])


def filled(page: str, part: str) -> str:
    """The page with its part replaced. Raises GuaranteesError where it has no place for it."""
    before, begin, rest = page.partition(BEGIN)
    _old, end, after = rest.partition(END)
    if not begin or not end:
        raise GuaranteesError(f"the page has no line {BEGIN!r} with {END!r} below it")
    return f"{before}{part}{after}"


def _totals(results: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = ["| simulator | profile | seeds | simulated hours | failed |", "|---|---|---:|---:|---:|"]
    for name, title in ((NODES, "whole nodes"), (CORES, "pure cores")):
        for profile in dict.fromkeys(each["profile"] for each in results if each["simulator"] == name):
            rows = [each for each in results if (each["simulator"], each["profile"]) == (name, profile)]
            seeds, failed = sum(each["seeds"] for each in rows), sum(len(each["failures"]) for each in rows)
            hours = sum(each["simulated_hours"] for each in rows)
            lines.append(f"| {title} | {profile} | {seeds:,} | {hours:,.2f} | {failed:,} |")
    return lines


def _matrix(results: Sequence[Mapping[str, Any]]) -> list[str]:
    hours = {name: sum(each["families"].get(name, 0.0) for each in results) for name in FAMILIES}
    lines = [
        "Simulated hours in which a promise was watched while faults of a kind came; runs with several kinds "
        "count for each.",
        "",
        f"| promise | {' | '.join(FAMILIES)} |",
        f"|---|{'---:|' * len(FAMILIES)}",
    ]
    for checker in checkers():
        cells: list[str] = []
        for name in FAMILIES:
            broken = sum(each["broken_families"].get(checker.invariant, {}).get(name, 0) for each in results)
            cells.append(f"{hours[name]:,.2f}" + (f", **broken {broken:,} times**" if broken else ""))
        lines.append(f"| {checker.invariant} {checker.name} | {' | '.join(cells)} |")
    return lines


def _kinds(results: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = ["| fault | family | times | seeds | simulated hours |", "|---|---|---:|---:|---:|"]
    kinds = sorted({kind for each in results for kind in each["faults"]})
    for kind in kinds:
        times = sum(each["faults"].get(kind, 0) for each in results)
        seeds = sum(each["seeds_with"].get(kind, 0) for each in results)
        hours = sum(each["hours"].get(kind, 0.0) for each in results)
        lines.append(f"| `{kind}` | {family(kind)} | {times:,} | {seeds:,} | {hours:,.2f} |")
    return lines
