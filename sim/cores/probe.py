"""The probe of a run: which planted bugs are on, which rare branches were taken.

One rule: bugs are named in ``haqactor.sim.planted.bugs``; an unknown name is an error, never a bug that is
not there.
"""

from collections.abc import Sequence

from haqactor.errors import InvalidArgument
from haqactor.sim.planted.bugs import BUGS


class CoreProbe:
    """``marks``: how often each rare branch was taken; several probes may share them. ``odd``: is it one of
    those replicas that alone have the bugs which are not everywhere?"""

    __slots__ = ("_bugs", "marks")

    def __init__(
        self, bugs: Sequence[str] = (), *, odd: bool = True, marks: dict[str, int] | None = None
    ) -> None:
        unknown = [name for name in bugs if name not in BUGS]
        if unknown:
            raise InvalidArgument(f"no such planted bug: {', '.join(unknown)}")
        self._bugs = {name: True for name in bugs if odd or BUGS[name].everywhere}
        self.marks: dict[str, int] = {} if marks is None else marks

    def mark(self, name: str) -> None:
        """Count it."""
        self.marks[name] = self.marks.get(name, 0) + 1

    def buggify(self, name: str) -> bool:
        """Never."""
        return False

    def bug(self, name: str) -> bool:
        """Is it on?"""
        return name in self._bugs
