"""Is there an order of concurrent operations in which each has its answer, between its call and its return?

One rule: ``UNKNOWN`` when the budget is used up, and that is never green.

The search of Wing and Gong (1993) with Lowe's memory of (operations placed, state) (2017), over a linked list
of calls and returns from which what is placed is lifted, as in Porcupine. A history is linearizable if that
of each key alone is (Herlihy and Wing 1990), so keys are searched one by one. Operations without a return may
be placed anywhere behind their call, or never. Where a read that has begun has its answer in the state that
is there, it is placed at once, and nothing else is tried: the others do not notice.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

S = TypeVar("S", bound=Hashable)
A = TypeVar("A")

YES: Final = "linearizable"
NO: Final = "not linearizable"
UNKNOWN: Final = "unknown"
BUDGET: Final = 200_000


@dataclass(frozen=True)
class Call(Generic[A]):
    """One operation: what it asked and was answered, and when; ``returned`` None: it is not known whether it
    happened. What ends and what begins at one moment is concurrent."""

    invoked: int
    returned: int | None
    action: A


@dataclass(frozen=True)
class Verdict(Generic[A]):
    """``outcome``: YES, NO or UNKNOWN. ``stuck``: what could not be placed in the longest order found."""

    outcome: str
    steps: int
    stuck: tuple[Call[A], ...] = ()


@dataclass(slots=True, eq=False)
class _Node(Generic[A]):
    """A call (``bit`` and its own return, if any, in ``match``) or a return in the list."""

    call: Call[A] | None
    bit: int = 0
    match: "_Node[A] | None" = None
    before: "_Node[A] | None" = None
    after: "_Node[A] | None" = None

    def unlink(self) -> None:
        if self.before is not None:
            self.before.after = self.after
        if self.after is not None:
            self.after.before = self.before

    def relink(self) -> None:
        if self.before is not None:
            self.before.after = self
        if self.after is not None:
            self.after.before = self


@dataclass(slots=True)
class _Frame(Generic[S, A]):
    """A call that was placed: where the search goes on if that was wrong. ``sure``: nothing else can be right
    either."""

    node: _Node[A]
    options: Iterator[S]
    state: S
    bits: int
    sure: bool


def _no_read(_action: object) -> bool:
    return False


def _unlike(_action: object) -> Hashable:
    return None


def check(
    calls: Sequence[Call[A]],
    initial: S,
    step: Callable[[S, A], Iterable[S]],
    budget: int = BUDGET,
    reads: Callable[[A], bool] = _no_read,
    alike: Callable[[A], Hashable] = _unlike,
) -> Verdict[A]:
    """``step``: the states that an action may lead to from a state; none: it cannot have happened there.
    ``reads``: does this action never change anything, whatever the state? ``alike``: what tells an action
    from others (None: everything); of those that are alike and have no return the earliest is placed first,
    as it may stand for each of the others."""
    return _Search(calls, step, reads, alike, budget).run(initial)


@dataclass(slots=True)
class _Search(Generic[S, A]):
    calls: Sequence[Call[A]]
    step: Callable[[S, A], Iterable[S]]
    reads: Callable[[A], bool]
    alike: Callable[[A], Hashable]
    budget: int
    memory: set[tuple[int, S]] = field(default_factory=set[tuple[int, S]])
    deepest: int = -1
    stuck: tuple[Call[A], ...] = ()

    def run(self, initial: S) -> Verdict[A]:
        """Depth first, from the earliest call on."""
        head: _Node[A] = _linked(self.calls)
        left = sum(1 for call in self.calls if call.returned is not None)
        frames: list[_Frame[S, A]] = []
        state, bits, steps = initial, 0, 0
        node = head.after
        options: Iterator[S] | None = None
        sure = False
        while left:
            if node is not None and node.call is not None:
                if options is None:
                    found = self._found(node, node.call.action, state)
                    options = iter(found)
                    sure = node.match is not None and found == (state,) and self.reads(node.call.action)
                taken = self._next_new(options, bits | node.bit)
                if taken is None:
                    node, options = None if sure else node.after, None
                    continue
                steps += 1
                if steps > self.budget:
                    return Verdict(UNKNOWN, steps, self.stuck)
                frames.append(_Frame(node, options, state, bits, sure))
                state, bits = taken[0], bits | node.bit
                left -= _lift(node)
                node, options = head.after, None
            else:
                self._note(head, len(frames))
                if not frames:
                    return Verdict(NO, steps, self.stuck)
                frame = frames.pop()
                node, options, state, bits = frame.node, frame.options, frame.state, frame.bits
                left += _unlift(node)
                sure = frame.sure
        return Verdict(YES, steps)

    def _found(self, node: _Node[A], action: A, state: S) -> tuple[S, ...]:
        found = tuple(self.step(state, action))
        if node.match is not None:
            return found
        key, other = self.alike(action), node.before
        while key is not None and other is not None:
            if other.call is not None and other.match is None and self.alike(other.call.action) == key:
                return ()
            other = other.before
        return tuple(option for option in found if option != state)  # without an effect it may as well not be

    def _next_new(self, options: Iterator[S], bits: int) -> tuple[S] | None:
        for option in options:
            if (bits, option) not in self.memory:
                self.memory.add((bits, option))
                return (option,)
        return None

    def _note(self, head: _Node[A], depth: int) -> None:
        if depth > self.deepest:
            self.deepest = depth
            waiting: list[Call[A]] = []
            node = head.after
            while node is not None and node.call is not None:
                waiting.append(node.call)
                node = node.after
            self.stuck = tuple(waiting)


def _linked(calls: Sequence[Call[A]]) -> _Node[A]:
    moments: list[tuple[int, int, int, _Node[A]]] = []
    for number, call in enumerate(calls):
        node = _Node(call, 1 << number)
        moments.append((call.invoked, 0, number, node))
        if call.returned is not None:
            node.match = _Node(None)
            moments.append((max(call.invoked, call.returned), 1, number, node.match))
    last = head = _Node[A](None)
    for _at, _order, _number, node in sorted(moments, key=lambda moment: moment[:3]):
        last.after, node.before = node, last
        last = node
    return head


def _lift(node: _Node[A]) -> int:
    """Take a call and its return out of the list; how many returns that were."""
    node.unlink()
    if node.match is None:
        return 0
    node.match.unlink()
    return 1


def _unlift(node: _Node[A]) -> int:
    """Put them back, in the opposite order."""
    returns = 0
    if node.match is not None:
        node.match.relink()
        returns = 1
    node.relink()
    return returns
