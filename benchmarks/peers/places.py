"""Where the peers' programs are, once ``make bench-peers-install`` has been run, and what is missing.

One rule: nothing is looked for anywhere else, and nothing is started to find out.
"""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

from benchmarks.clusters import OUT

HERE: Final = Path(__file__).resolve().parent
ROOT: Final = HERE.parent.parent
SOURCES: Final = HERE / "clients"
PLACE: Final = OUT / "peers"
VENV: Final = PLACE / "venv"
BIN: Final = PLACE / "bin"
CLIENTS: Final = ("rabbitmq", "nats", "redis")
"""The C programs, a source each."""

HOW: Final = "make bench-peers-install"


def python() -> Path:
    """The interpreter of the peers' own venv."""
    return VENV / "bin" / "python"


def nats_server() -> Path:
    """From the wheel that ships it."""
    return VENV / "bin" / "nats-server"


def client(name: str) -> Path:
    """A C program."""
    return BIN / f"{name}-client"


def redis_server() -> Path | None:
    """Debian's; it is a sentinel as well."""
    found = shutil.which("redis-server")
    return Path(found) if found else None


def rabbitmq_sbin(library: Path = Path("/usr/lib/rabbitmq/lib")) -> Path | None:
    """The folder of RabbitMQ's own scripts; the newest of several. Those on the path refuse to run under
    another user than theirs."""
    found = [path.parent for path in library.glob("rabbitmq_server-*/sbin/rabbitmq-server")]
    return max(
        found, key=lambda sbin: [int(part) for part in re.findall(r"\d+", sbin.parent.name)], default=None
    )


def _package(name: str) -> Callable[[], bool]:
    return lambda: any(VENV.glob(f"lib/python3*/site-packages/{name}"))


def _client(name: str) -> Callable[[], bool]:
    def found() -> bool:
        binary = client(name)
        sources = [SOURCES / f"{name}.c", *SOURCES.glob("*.h")]
        return binary.exists() and all(binary.stat().st_mtime >= source.stat().st_mtime for source in sources)

    return found


_PARTS: Final[dict[str, Callable[[], bool]]] = {
    "rabbitmq-server": lambda: rabbitmq_sbin() is not None,
    "redis-server": lambda: redis_server() is not None,
    "nats-server": lambda: nats_server().exists(),
    **{f"the client {name}.c, compiled": _client(name) for name in CLIENTS},
    **{name: _package(name) for name in ("aio_pika", "nats", "pysyncobj", "redis")},
}


def compiled(name: str) -> str:
    """The name of the part that is a C program."""
    return f"the client {name}.c, compiled"


def missing(parts: tuple[str, ...]) -> list[str]:
    """Those of the parts that are not installed; a C program older than its source counts as missing."""
    return [part for part in parts if not _PARTS[part]()]


def every_part() -> tuple[str, ...]:
    """All that ``make bench-peers-install`` brings."""
    return tuple(_PARTS)
