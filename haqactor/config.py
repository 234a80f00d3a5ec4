"""Settings as frozen records: each field says what it is, its unit, its default and what breaks.

One rule: a wrong name or an impossible value is refused here, with a suggestion, before anything starts.
"""

import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from os import PathLike, fspath
from typing import Any, Final, cast

from haqactor.errors import ConfigError, InvalidArgument

MIB: Final = 1024 * 1024
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:\-]{0,254}")
_NS: Final = 1_000_000_000


def check_name(name: object, what: str = "queue") -> str:
    """A name of a queue or a producer: 1..255 of letters, digits and ``_ . : -``."""
    if not isinstance(name, str):
        raise InvalidArgument(f"the name of a {what} is a str, not {type(name).__name__}")
    if not _NAME.fullmatch(name):
        raise InvalidArgument(
            f"{name!r} is no name for a {what}: use 1 to 255 letters, digits, '_', '.', ':' or '-'"
        )
    return name


def _seconds(name: str, value: object, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise InvalidArgument(f"{name} is {value!r}, but must be seconds between {low:g} and {high:g}")
    return float(value)


@dataclass(frozen=True, slots=True)
class QueueConfig:
    """A queue's settings. Time spans in seconds.

    ``lease``: how long a delivered message stays with its consumer unless renewed. ``max_attempts``: failures
    after which a message goes to ``dead_letter`` (0: no limit; without a dead-letter queue it is parked and
    counted in ``info().dead``). ``backoff``/``backoff_max``: the delay of a failed message before it is ready
    again, doubling with every failure."""

    name: str
    lease: float = 30.0
    max_attempts: int = 0
    dead_letter: str | None = None
    backoff: float = 0.5
    backoff_max: float = 60.0

    def __post_init__(self) -> None:
        check_name(self.name)
        _seconds("lease", self.lease, 0.1, 86_400)
        _seconds("backoff", self.backoff, 0, 86_400)
        _seconds("backoff_max", self.backoff_max, 0, 86_400)
        attempts: object = self.max_attempts
        if isinstance(attempts, bool) or not isinstance(attempts, int) or not 0 <= attempts <= 1_000_000:
            raise InvalidArgument(f"max_attempts is {attempts!r}, but must be a number from 0 (no limit) on")
        if self.dead_letter is not None:
            check_name(self.dead_letter, "dead-letter queue")
            if self.dead_letter == self.name:
                raise InvalidArgument(f"queue {self.name!r} cannot be its own dead-letter queue")

    def settings(self) -> dict[str, Any]:
        """What travels and is stored: integers (``_ns``) and strings only, in a fixed order."""
        return {
            "lease_ns": round(self.lease * _NS),
            "max_attempts": self.max_attempts,
            "dead_letter": self.dead_letter,
            "backoff_ns": round(self.backoff * _NS),
            "backoff_max_ns": round(self.backoff_max * _NS),
        }

    @classmethod
    def from_settings(cls, name: str, settings: Mapping[str, Any]) -> "QueueConfig":
        """The inverse of ``settings``."""
        return cls(
            name,
            lease=settings["lease_ns"] / _NS,
            max_attempts=settings["max_attempts"],
            dead_letter=settings["dead_letter"],
            backoff=settings["backoff_ns"] / _NS,
            backoff_max=settings["backoff_max_ns"] / _NS,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The bounds of a node (docs/operating/configure.md): bytes, counts, seconds; drawn small to simulate."""

    message_bytes_max: int = MIB
    connections_max: int = 10_000
    connection_buffer_bytes: int = 256 * 1024
    mailbox_batches_max: int = 1024
    mailbox_bytes_max: int = 16 * MIB
    peer_group_window_bytes: int = 4 * MIB
    peer_link_window_bytes: int = 32 * MIB
    uncommitted_bytes_max: int = 16 * MIB
    consumer_credit_messages: int = 512
    consumer_credit_bytes: int = MIB
    segment_bytes: int = 64 * MIB
    compress_bytes_min: int = 1024
    tail_cache_bytes: int = 32 * MIB
    snapshot_bytes: int = 64 * MIB
    snapshot_entries: int = 10_000
    reserve_messages: int = 4096
    grace: float = 2.0
    producer_sessions_max: int = 100_000
    heartbeat: float = 0.1
    election_min: float = 0.6
    election_max: float = 1.0
    disk_slow: float = 1.0
    actor_stall: float = 30.0
    handshake: float = 5.0  # seconds a new connection has for its hello, and a half-sent frame for its rest

    def __post_init__(self) -> None:
        for item in fields(self):
            value: object = getattr(self, item.name)
            if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
                raise ConfigError(f"limits.{item.name} is {value!r}, but must be a number above 0")
        if not self.heartbeat * 2 < self.election_min < self.election_max:
            raise ConfigError("limits: 2 x heartbeat < election_min < election_max must hold")
        if self.segment_bytes < 4096:
            raise ConfigError("limits.segment_bytes must be at least 4096")


def split_address(address: object, what: str) -> tuple[str, int]:
    """``host:port`` (or ``[v6]:port``) as its parts. Raises ConfigError."""
    if isinstance(address, str):
        host, colon, port = address.rpartition(":")
        if colon and host and port.isdecimal() and int(port) < 65_536:
            return host.strip("[]"), int(port)
    raise ConfigError(f"{what} is {address!r}, but must be 'host:port'")


def peer_address(address: str) -> str:
    """The peers' port of a node whose clients' address is given: the next one."""
    host, port = split_address(address, "address")
    return f"[{host}]:{port + 1}" if ":" in host else f"{host}:{port + 1}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeConfig:
    """One node. ``data_dir``: its directory. ``listen``: its clients' address; peers meet on the next port
    (None: no port is opened, a cluster of one). ``bootstrap``: the clients' addresses of all founding nodes,
    the same list on each; used once. ``advertise``: the address told to others where it is not ``listen``.
    ``groups``: Raft groups beside group 0, fixed at founding. ``insecure``: allow other than loopback
    addresses though nothing is authenticated. ``sync``: how the journal syncs."""

    data_dir: str | PathLike[str]
    listen: str | None = None
    bootstrap: list[str] | tuple[str, ...] = ()
    advertise: str | None = None
    groups: int = 16
    insecure: bool = False
    sync: str = "auto"
    log_level: str = "info"
    log_format: str = "auto"
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        raw: object = self.data_dir
        if not isinstance(raw, str | PathLike) or not fspath(self.data_dir):
            raise ConfigError(f"data_dir is {raw!r}, but must be a path")
        groups: object = self.groups
        if isinstance(groups, bool) or not isinstance(groups, int) or not 1 <= groups <= 1024:
            raise ConfigError(f"groups is {groups!r}, but must be a number from 1 to 1024")
        bootstrap: object = self.bootstrap
        if not isinstance(bootstrap, list | tuple):
            raise ConfigError("bootstrap must be a list of 'host:port'")
        for address in self.bootstrap:
            split_address(address, "bootstrap")
        if len(dict.fromkeys(self.bootstrap)) != len(self.bootstrap):
            raise ConfigError("bootstrap names an address twice")
        self._check_listen()
        _choice("sync", self.sync, ("auto", "process", "thread", "yield", "inline"))
        _choice("log_level", self.log_level, ("debug", "info", "warning", "error"))
        _choice("log_format", self.log_format, ("auto", "console", "json"))

    def _check_listen(self) -> None:
        if self.advertise is not None:
            split_address(self.advertise, "advertise")
        if self.listen is None:
            if self.bootstrap:
                raise ConfigError("a node with a bootstrap list must listen: set listen to its own address")
            return
        host, _port = split_address(self.listen, "listen")
        if not self.insecure and not (host in ("localhost", "::1") or host.startswith("127.")):
            raise ConfigError(
                f"listen is {self.listen!r}: beyond loopback nothing is authenticated yet; "
                "set insecure = true to allow it"
            )
        mine = self.advertise or self.listen
        if self.bootstrap and mine not in self.bootstrap:
            raise ConfigError(
                f"bootstrap must hold this node's own address {mine!r}; it has {', '.join(self.bootstrap)}"
            )

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> "NodeConfig":
        """From a TOML file's table. Unknown names are refused with the nearest known one."""
        _known("", values, [item.name for item in fields(cls)])
        given = dict(values)
        if "limits" in given:
            limits: object = given["limits"]
            if not isinstance(limits, Mapping):
                raise ConfigError("limits must be a table")
            table = cast("Mapping[str, Any]", limits)
            _known("limits.", table, [item.name for item in fields(Limits)])
            given["limits"] = Limits(**table)
        if "data_dir" not in given:
            raise ConfigError("data_dir is missing")
        try:
            return cls(**given)
        except TypeError as error:
            raise ConfigError(str(error)) from error

    @classmethod
    def from_toml(cls, text: str) -> "NodeConfig":
        """From the text of a TOML file. Raises ConfigError."""
        try:
            return cls.from_mapping(tomllib.loads(text))
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"not a TOML file: {error}") from error


def _known(prefix: str, values: Mapping[str, Any], names: list[str]) -> None:
    for name in values:
        if name not in names:
            near = difflib.get_close_matches(name, names, 1)
            hint = f"; did you mean {prefix}{near[0]}?" if near else f"; known are {', '.join(sorted(names))}"
            raise ConfigError(f"unknown setting {prefix}{name}{hint}")


def _choice(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ConfigError(f"{name} is {value!r}, but must be one of {', '.join(allowed)}")
