"""Where damaged files go: out of the way, and within reach of whoever wants to know what happened.

One rule: nothing in there is ever read by a node again, and it never grows without bound.
"""

from typing import Final

from haqactor.env import Disk, FileMissing

QUARANTINE: Final = "quarantine"
"""The folder's name, in the data directory."""
FILES_MAX: Final = 16
"""Beyond so many the oldest go."""


class Quarantine:
    """Of one data directory. ``boot``: this start's epoch, which the names begin with."""

    def __init__(self, disk: Disk, directory: str, boot: int) -> None:
        self._disk = disk
        self._directory = directory
        self._boot = boot

    async def put(self, name: str) -> None:
        """Move a file of the directory there; again does no harm. Raises DiskError."""
        disk, folder = self._disk, f"{self._directory}/{QUARANTINE}"
        await disk.make_directory(folder)
        names = await disk.list_directory(folder)
        for old in names[: max(0, len(names) + 1 - FILES_MAX)]:
            await disk.unlink(f"{folder}/{old}")
        try:
            await disk.rename(f"{self._directory}/{name}", f"{folder}/{self._boot:010d}-{name}")
        except FileMissing:
            return
        await disk.sync_directory(folder)
        await disk.sync_directory(self._directory)
