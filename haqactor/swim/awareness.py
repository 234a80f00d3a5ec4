"""Local health: how far a node should doubt itself before it doubts others (Lifeguard, section IV-A).

One rule: evidence against oneself raises the score, a probe that succeeds lowers it; times are stretched by
one plus the score.
"""


class Awareness:
    """The score, 0 (well) to ``worst``."""

    __slots__ = ("_score", "_worst")

    def __init__(self, worst: int) -> None:
        self._worst = worst
        self._score = 0

    @property
    def score(self) -> int:
        """0 is well."""
        return self._score

    def change(self, by: int) -> None:
        """Add evidence; the score stays within its bounds."""
        self._score = max(0, min(self._worst, self._score + by))

    def stretch(self, duration_ns: int) -> int:
        """``duration_ns`` for a node in this health."""
        return duration_ns * (1 + self._score)
