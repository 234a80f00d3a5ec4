"""What Linux tells of processes: their children, and the time that they took.

One rule: one that is gone has no children and took nothing.
"""

import os
from pathlib import Path

from haqactor.cli.process import children


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, its living descendants, and those it has waited for."""
    return sum(map(_own_seconds, [pid, *descendants(pid)]))


def _own_seconds(pid: int) -> float:
    fields = stat_fields(pid)
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK") if fields else 0.0


def stat_fields(pid: int) -> list[str]:
    """``/proc/PID/stat`` from the state on; empty if it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return []
    return text.rpartition(")")[2].split()  # the name before it may hold anything


def descendants(pid: int) -> list[int]:
    """Its children and theirs."""
    found: list[int] = []
    for child in children(pid):
        found += [child, *descendants(child)]
    return found
