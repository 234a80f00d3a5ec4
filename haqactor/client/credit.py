"""What a consumer could still take: given back with settlements, or when a lease was lost.

One rule: what is owed is written exactly once; a new subscription states the whole, and nothing is owed then.
"""


class Credit:
    """``messages``, ``size`` (bytes): the whole credit; 0 messages: they are asked for one by one."""

    __slots__ = ("messages", "owed_bytes", "owed_messages", "size")

    def __init__(self, messages: int, size: int) -> None:
        self.messages = messages
        self.size = size
        self.owed_messages = self.owed_bytes = 0

    def owe(self, messages: int, size: int) -> None:
        """To be given back with the next frame."""
        self.owed_messages += messages
        self.owed_bytes += size

    def restate(self, held_messages: int, held_bytes: int) -> tuple[int, int]:
        """The whole, less what is held: for a new subscription."""
        self.owed_messages = self.owed_bytes = 0
        return max(0, self.messages - held_messages), max(0, self.size - held_bytes)

    def with_settlement(self, messages: int, size: int) -> tuple[int, int]:
        """What a Settle gives back: its own messages' share, and what is owed beside."""
        if not self.messages:
            messages = size = 0
        messages, size = messages + self.owed_messages, size + self.owed_bytes
        self.owed_messages = self.owed_bytes = 0
        return messages, size

    def take_owed(self) -> tuple[int, int]:
        """What a Credit frame gives back; (0, 0): none is to be written."""
        if self.owed_messages <= 0:
            return 0, 0
        owed = self.owed_messages, self.owed_bytes
        self.owed_messages = self.owed_bytes = 0
        return owed
