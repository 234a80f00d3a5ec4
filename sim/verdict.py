"""How a run ended, in one word.

One rule: a run that could not be judged is neither a pass nor a failure.
"""

from enum import StrEnum


class Verdict(StrEnum):
    """``UNRECOVERABLE``: more was damaged than anybody can survive, and the cluster refused, as it should."""

    PASS = "pass"
    SAFETY = "safety"
    LIVENESS = "liveness"
    CRASH = "crash"
    NONDETERMINISM = "nondeterminism"
    UNRECOVERABLE = "unrecoverable"
    UNDETERMINED = "undetermined"

    @property
    def failed(self) -> bool:
        """Whether something is wrong with what was run."""
        return self.exit_code == 1

    @property
    def exit_code(self) -> int:
        """Of ``haq sim``: 0 pass, 1 fail, 10 not determined."""
        if self in (Verdict.PASS, Verdict.UNRECOVERABLE):
            return 0
        return 10 if self is Verdict.UNDETERMINED else 1
