"""S17: declare, delete and info of a queue are linearizable.

One rule: each name is an object of its own, absent or (uid, version); a declaration that names a dead-letter
queue acts on that name, too. An answer that there is no such queue is an observation; other failures are
none. Each copy of a declaration that was sent ``again`` may act once more, and late (seed 200483 of profile
swarm). A name that nobody declared in the history is not judged: it may have been there before.
"""

from typing import Literal, NamedTuple

from haqactor.sim.checkers.checker import Rule
from haqactor.sim.checkers.final import Final
from haqactor.sim.linearizability import BUDGET, NO, UNKNOWN, Call, check
from haqactor.sim.watch.history import FAIL, OK, Op

State = tuple[int, int] | None  # uid (0: not seen yet) and version
NOT_FOUND = "not_found"
_SHOWN = 6


class Action(NamedTuple):
    """What was asked of one name and what was seen; None: not seen. ``known``: it certainly happened."""

    op: Op
    verb: Literal["declare", "ensure", "delete", "absent", "info"]
    known: bool = True
    uid: int | None = None
    version: int | None = None
    created: bool | None = None
    changed: bool | None = None


class LinearizableMetadata(Rule):
    """Judged at the end, name by name, within a budget of steps each."""

    name = "declare, delete and info linearizable"
    invariant = "S17"
    calls = ("declare", "delete", "info")

    def __init__(self, budget: int = BUDGET) -> None:
        super().__init__()
        self._ops: list[Op] = []
        self._budget = budget

    def on_call(self, op: Op) -> None:
        """One more; its answer is read at the end."""
        self._ops.append(op)

    def finish(self, final: Final) -> None:
        """Search each name."""
        by_name: dict[str, list[Call[Action]]] = {}
        for op in self._ops:
            for name, action in actions(op):
                returned = op.returned_ns if action.known else None
                by_name.setdefault(name, []).append(Call(op.invoked_ns, returned, action))
        undecided: list[str] = []
        for name, calls in by_name.items():
            if not any(call.action.verb in {"declare", "ensure"} for call in calls):
                continue
            verdict = check(calls, None, step, self._budget, _reads, _alike)
            if verdict.outcome == NO:
                stuck = [call.action.op for call in verdict.stuck[:_SHOWN]]
                raise self.broken(f"no order explains what was seen of queue {name!r}", *stuck)
            if verdict.outcome == UNKNOWN:
                undecided.append(name)
        if undecided:
            self.unknown = f"no order was found in {self._budget} steps for {', '.join(undecided)}"


def _reads(action: Action) -> bool:
    """A declaration that found all as it wanted it is one, too."""
    if action.verb == "declare":
        return action.created is False and action.changed is False
    return action.verb in {"absent", "info"}


def _alike(action: Action) -> tuple[object, ...]:
    """Nobody knows the answers of those that are asked here: they have no return."""
    return action.verb, action.uid, action.version, action.created, action.changed


def actions(op: Op) -> list[tuple[str, Action]]:
    """What one record says of which names."""
    out = op.out
    if op.outcome == FAIL:
        absent = out.get("error") == NOT_FOUND and op.kind != "declare"
        return [(op.queue, Action(op, "absent"))] if absent else []
    known = op.outcome == OK
    if op.kind == "info":
        seen = Action(op, "info", uid=out.get("uid"), version=out.get("version"))
        return [(op.queue, seen)] if known else []
    if op.kind == "delete":
        return [(op.queue, Action(op, "delete", known))]
    seen = Action(
        op, "declare", known, out.get("uid"), out.get("version"), out.get("created"), out.get("changed")
    )
    rows = [(op.queue, seen)]
    for _ in range(out.get("again") or 0):
        rows.append((op.queue, Action(op, "declare", known=False)))
    if out.get("dead_letter") is not None:
        rows.append((out["dead_letter"], Action(op, "ensure", known)))
    return rows


def step(state: State, action: Action) -> list[State]:
    """The object: what may follow."""
    verb = action.verb
    if verb == "absent":
        return [None] if state is None else []
    if verb == "delete":
        return [None] if state is not None else []
    if verb == "ensure":
        return [(0, 1)] if state is None else [state]
    if verb == "info":
        return [] if state is None else _seen([state], action)
    if state is None:
        return [] if action.created is False else _seen([(0, 1)], action)
    if action.created:
        return []
    versions = {True: [1], False: [0], None: [0, 1]}[action.changed]
    return _seen([(state[0], state[1] + more) for more in versions], action)


def _seen(states: list[tuple[int, int]], action: Action) -> list[State]:
    found: list[State] = []
    for uid, version in states:
        if action.version is not None and action.version != version:
            continue
        if action.uid is not None and uid and action.uid != uid:
            continue
        found.append((action.uid or uid, version))
    return found
