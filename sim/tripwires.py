"""Alarms at everything by which a simulated program could reach the real world: clocks, chance, threads,
files, sockets, processes.

One rule: they ring only while a world goes on, and only in the thread that drives it; what trips one gets a
``SimEscape`` there and then, and is written down, so that nobody can swallow it.

They are set once for a run. What the interpreter itself reports (files, sockets, processes, names of hosts)
is heard through an audit hook, so that it does not matter how the caller came by the function; clocks,
chance and threads are not reported, and stand behind guards in their modules. The shared generator of
``random`` is compared with what it was, for its methods may have been taken before. Trio makes a pair of
sockets for each run, and modules are read when they are first imported: both are allowed.
"""

import ctypes
import datetime
import gc
import inspect
import os
import random
import sys
import threading
import time
import uuid
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

from haqactor.sim._trio_compat import driven

_GUARDED: Final[tuple[tuple[Any, tuple[str, ...]], ...]] = (
    (
        time,
        tuple(
            f"{clock}{unit}"
            for clock in ("time", "monotonic", "perf_counter", "process_time", "thread_time")
            for unit in ("", "_ns")
        ),
    ),
    (time, ("sleep",)),
    (threading.Thread, ("start",)),
    (threading, ("_start_new_thread",)),
    (os, ("urandom", "getrandom")),
    (random, ("_urandom",)),
    (uuid, ("uuid1", "uuid4")),
)
_DATES: Final = ((datetime.datetime, ("now", "utcnow")), (datetime.date, ("today",)))
_REPORTED: Final = frozenset(
    {
        *(
            "open",
            "os.listdir",
            "os.scandir",
            "os.mkdir",
            "os.remove",
            "os.rename",
            "os.rmdir",
            "os.truncate",
        ),
        *("socket.__new__", "socket.bind", "socket.connect", "socket.getaddrinfo", "socket.gethostbyname"),
        *("_thread.start_new_thread", "_thread.start_joinable_thread", "mmap.__new__"),
        *("subprocess.Popen", "os.system", "os.fork", "os.forkpty", "os.posix_spawn", "os.exec"),
    }
)
_ALLOWED: Final = ("importlib.", "_frozen_importlib", "trio._core._wakeup_socketpair")
_FRAMES: Final = 4


class SimEscape(BaseException):
    """A simulated program reached for the real world: ask the Environment instead. Not an ``Exception``: no
    program is to go on after it."""


class _Watch:
    """``escapes``: what tripped, in words; ``thread``: the one that drives the world."""

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.escapes: list[str] = []
        self.kept: list[tuple[Any, str, Any]] = []


class _State:
    """One watch at a time, as there is one world at a time; the hook stays for ever, for it cannot go."""

    watch: _Watch | None = None
    hooked = False


@contextmanager
def tripwires() -> Generator[list[str]]:
    """Set them while the block runs; yields the list of what tripped, a line each. Nested ones are the
    outermost."""
    if _State.watch is not None:
        yield _State.watch.escapes
        return
    if not _State.hooked:
        sys.addaudithook(_heard)
        _State.hooked = True
    watch = _Watch()
    _guard(watch)
    before = random.getstate()
    _State.watch = watch
    try:
        yield watch.escapes
    finally:
        _State.watch = None
        for owner, name, original in reversed(watch.kept):
            _put(owner, name, original)
        if random.getstate() != before and not watch.escapes:
            watch.escapes.append("the shared generator of the module random was drawn from or seeded")


def _heard(event: str, arguments: tuple[Any, ...]) -> None:
    """The audit hook: called for everything that the interpreter reports, so it looks at the least first."""
    if event not in _REPORTED:
        return
    watch = _State.watch
    if watch is not None and driven() and threading.get_ident() == watch.thread:
        said = "socket.socket" if event == "socket.__new__" else event
        _trip(watch, f"{said}({', '.join(repr(part)[:60] for part in arguments[:1])})")


def _trip(watch: _Watch, what: str) -> None:
    """Unless it is allowed."""
    frame: FrameType | None = inspect.currentframe()
    places: list[str] = []
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if module.startswith(_ALLOWED):
            return
        if len(places) < _FRAMES and module != __name__:
            places.append(f"{module}.{frame.f_code.co_name}:{frame.f_lineno}")
        frame = frame.f_back
    text = f"{what} in {' < '.join(places)}"
    watch.escapes.append(text)
    raise SimEscape(f"{text}: a simulated program must ask the Environment that it is handed")


def _guard(watch: _Watch) -> None:
    """Put guards in place of the functions, and of the methods that read the clock of dates."""
    generator: object = getattr(random.random, "__self__", None)
    shared = [name for name, kept in vars(random).items() if getattr(kept, "__self__", None) is generator]
    drawn = [name for name in shared if name not in ("getstate", "setstate")]
    for owner, names in (*_GUARDED, (random, tuple(drawn))):
        for name in names:
            original = getattr(owner, name, None)
            if original is not None:
                label = f"{owner.__name__}.{name.lstrip('_')}"
                watch.kept.append((owner, name, original))
                setattr(owner, name, _guarded(watch, label, original))
    for kind, names in _DATES:
        for name in names:
            original = kind.__dict__[name]
            watch.kept.append((kind, name, original))
            _put(kind, name, classmethod(_dated(watch, f"{kind.__name__}.{name}", original)))


def _guarded(watch: _Watch, label: str, original: Callable[..., Any]) -> Callable[..., Any]:
    def guard(*arguments: Any, **named: Any) -> Any:
        if driven() and threading.get_ident() == watch.thread:
            _trip(watch, f"{label}()")
        return original(*arguments, **named)

    return guard


def _dated(watch: _Watch, label: str, original: Any) -> Callable[..., Any]:
    def guard(kind: type, *arguments: Any, **named: Any) -> Any:
        if driven() and threading.get_ident() == watch.thread:
            _trip(watch, f"{label}()")
        return original.__get__(None, kind)(*arguments, **named)

    return guard


def _put(owner: Any, name: str, value: Any) -> None:
    """Set an attribute, also of a type that is written in C, which knows no assignment."""
    if isinstance(owner, type):
        (attributes,) = gc.get_referents(owner.__dict__)
        attributes[name] = value
        ctypes.pythonapi.PyType_Modified(ctypes.py_object(owner))
    else:
        setattr(owner, name, value)
