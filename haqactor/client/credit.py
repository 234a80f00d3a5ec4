"""What a consumer could still take: given back with settlements, withheld while nobody receives.

One rule: what is owed is written exactly once; a new leader is told the whole, and nothing is owed then.
"""


class Credit:
    """``messages``, ``size`` (bytes): the whole credit; 0 messages: they are asked for one by one."""

    __slots__ = ("messages", "owed_bytes", "owed_messages", "size", "withheld_bytes", "withheld_messages")

    def __init__(self, messages: int, size: int) -> None:
        self.messages = messages
        self.size = size
        self.owed_messages = self.owed_bytes = 0
        self.withheld_messages = self.withheld_bytes = 0

    def owe(self, messages: int, size: int) -> None:
        """To be given back with the next frame."""
        self.owed_messages += messages
        self.owed_bytes += size

    def withhold(self, messages: int, size: int) -> None:
        """Their settlement would give these back: not before somebody receives again."""
        self.withheld_messages += messages
        self.withheld_bytes += size
        self.owe(-messages, -size)

    def take_withheld(self) -> bool:
        """Somebody receives: owe it. False: nothing was withheld."""
        if not self.withheld_messages:
            return False
        self.owe(self.withheld_messages, self.withheld_bytes)
        self.withheld_messages = self.withheld_bytes = 0
        return True

    def restate(self, held_messages: int, held_bytes: int) -> tuple[int, int]:
        """The whole, less what is held: for a new leader."""
        self.owed_messages = self.owed_bytes = self.withheld_messages = self.withheld_bytes = 0
        return max(0, self.messages - held_messages), max(0, self.size - held_bytes)

    def with_settlement(self, messages: int, size: int) -> tuple[int, int]:
        """What a Settle gives back, beside what its own messages do."""
        if not self.messages:
            messages = size = 0
        messages, size = messages + self.owed_messages, size + self.owed_bytes
        self.owed_messages, self.owed_bytes = min(0, messages), min(0, size)
        return max(0, messages), max(0, size)

    def take_owed(self) -> tuple[int, int]:
        """What a Credit frame gives back; (0, 0): none is to be written."""
        if self.owed_messages <= 0:
            return 0, 0
        owed = self.owed_messages, max(0, self.owed_bytes)
        self.owed_messages = self.owed_bytes = 0
        return owed
