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
PORT_MAX: Final = 65_535
MESSAGE_BYTES_MOST: Final = 32 * MIB
"""No node's limit for one message may be above this; so whatever was ever stored can be carried and unpacked
by everybody, whatever their limits are by now (Q16)."""
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
    again, doubling with every failure. ``max_messages``: how many messages it may hold, settled ones not
    counted, and ``max_bytes``: how many bytes, of batches as they are stored (0: as many as the nodes' limits
    allow); what is published beyond gets Overloaded, and what is larger than that TooLarge."""

    name: str
    lease: float = 30.0
    max_attempts: int = 0
    dead_letter: str | None = None
    backoff: float = 0.5
    backoff_max: float = 60.0
    max_messages: int = 0
    max_bytes: int = 0

    def __post_init__(self) -> None:
        check_name(self.name)
        _seconds("lease", self.lease, 0.1, 86_400)
        _seconds("backoff", self.backoff, 0, 86_400)
        _seconds("backoff_max", self.backoff_max, 0, 86_400)
        attempts: object = self.max_attempts
        if isinstance(attempts, bool) or not isinstance(attempts, int) or not 0 <= attempts <= 1_000_000:
            raise InvalidArgument(f"max_attempts is {attempts!r}, but must be a number from 0 (no limit) on")
        for bound in ("max_messages", "max_bytes"):
            most: object = getattr(self, bound)
            if isinstance(most, bool) or not isinstance(most, int) or not 0 <= most < 1 << 48:
                raise InvalidArgument(f"{bound} is {most!r}, but must be a number from 0 (no limit) on")
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
            "max_messages": self.max_messages,
            "max_bytes": self.max_bytes,
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
            max_messages=settings.get("max_messages", 0),  # queues of older releases have none
            max_bytes=settings.get("max_bytes", 0),  # nor has any to which nobody gave it
        )


_MAY_BE_NONE: Final = ("queue_bytes_max", "group_messages_max", "group_bytes_max")
"""Limits that are none where they are 0."""
_LIMIT_END: Final = 1 << 48


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
    catch_up_bytes_s: int = 64 * MIB
    uncommitted_bytes_max: int = 16 * MIB
    consumer_credit_messages: int = 512
    consumer_credit_bytes: int = 4 * MIB
    segment_bytes: int = 64 * MIB
    compress_bytes_min: int = 1024
    tail_cache_bytes: int = 32 * MIB
    snapshot_bytes: int = 64 * MIB
    snapshot_entries: int = 10_000
    reserve_messages: int = 4096
    grace: float = 2.0
    producer_sessions_max: int = 100_000
    queue_messages_max: int = 100_000_000
    queue_bytes_max: int = 0
    group_messages_max: int = 0
    group_bytes_max: int = 0
    heartbeat: float = 0.1
    election_min: float = 0.6
    election_max: float = 1.0
    disk_slow: float = 1.0
    actor_stall: float = 30.0
    handshake: float = 5.0  # seconds a new connection has for its hello, and a half-sent frame for its rest
    probe_interval: float = 1.0
    rejoin_max: float = 30.0

    def __post_init__(self) -> None:
        for item in fields(self):
            value: object = getattr(self, item.name)
            none = item.name in _MAY_BE_NONE
            whole = item.type is int  # a float that went into the log could be decoded by no replica
            if (
                isinstance(value, bool)
                or not isinstance(value, int if whole else int | float)
                or not (0 < value < _LIMIT_END or (none and value == 0))
            ):
                kind = "whole number" if whole else "number"
                least = "from 0 (none) on" if none else f"above 0 and below {_LIMIT_END}"
                raise ConfigError(f"limits.{item.name} is {value!r}, but must be a {kind} {least}")
        if not self.heartbeat * 2 < self.election_min < self.election_max:
            raise ConfigError("limits: 2 x heartbeat < election_min < election_max must hold")
        if self.message_bytes_max > MESSAGE_BYTES_MOST:
            raise ConfigError(f"limits.message_bytes_max must be at most {MESSAGE_BYTES_MOST}")
        if self.segment_bytes < 4096:
            raise ConfigError("limits.segment_bytes must be at least 4096")
        if self.catch_up_bytes_s < MIB:  # the largest pieces would outlast their receiver's patience
            raise ConfigError(f"limits.catch_up_bytes_s must be at least {MIB}")
        if not 0.05 <= self.probe_interval <= self.rejoin_max <= 3600:
            raise ConfigError("limits: 0.05 <= probe_interval <= rejoin_max <= 3600 must hold")


def split_address(address: object, what: str) -> tuple[str, int]:
    """``host:port`` (or ``[v6]:port``) as its parts. Raises ConfigError."""
    if isinstance(address, str):
        host, colon, port = address.rpartition(":")
        if colon and host and port.isdecimal() and int(port) <= PORT_MAX:
            return host.strip("[]"), int(port)
    raise ConfigError(f"{what} is {address!r}, but must be 'host:port'")


def peer_address(address: str) -> str:
    """The peers' port of a node whose clients' address is given: the next one. Raises ConfigError."""
    return _beside(address, 1)


def gossip_address(address: str) -> str:
    """The port, for datagrams and for streams, at which the same node gossips: the one after that. Raises
    ConfigError."""
    return _beside(address, 2)


def _beside(address: str, by: int) -> str:
    host, port = split_address(address, "address")
    if port + by > PORT_MAX:
        raise ConfigError(f"the address is {address!r}: a node needs the {by} ports above it, too")
    return f"[{host}]:{port + by}" if ":" in host else f"{host}:{port + by}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeConfig:
    """One node. ``data_dir``: its directory. ``listen``: its clients' address; peers meet on the next port,
    and gossip on the one after it (None: no port is opened, a cluster of one). ``bootstrap``: the clients'
    addresses of all founding nodes, the same list on each that has one; used once. ``seeds``: clients'
    addresses of any nodes of the cluster, to be asked for it. ``advertise``: the address told to others where
    it is not ``listen``.
    ``groups``: Raft groups beside group 0, fixed at founding. ``insecure``: allow other than loopback
    addresses though nothing is authenticated. ``sync``: how the journal syncs."""

    data_dir: str | PathLike[str]
    listen: str | None = None
    bootstrap: list[str] | tuple[str, ...] = ()
    seeds: list[str] | tuple[str, ...] = ()
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
        _addresses("bootstrap", self.bootstrap)
        _addresses("seeds", self.seeds)
        self._check_listen()
        _choice("sync", self.sync, ("auto", "process", "thread", "yield", "inline"))
        _choice("log_level", self.log_level, ("debug", "info", "warning", "error"))
        _choice("log_format", self.log_format, ("auto", "console", "json"))

    def _check_listen(self) -> None:
        if self.advertise is not None:
            split_address(self.advertise, "advertise")
            gossip_address(self.advertise)
        if self.listen is None:
            for name in ("bootstrap", "seeds"):
                if getattr(self, name):
                    raise ConfigError(f"a node with {name} must listen: set listen to its own address")
            return
        host, _port = split_address(self.listen, "listen")
        gossip_address(self.listen)
        if not self.insecure and not (host in ("localhost", "::1") or host.startswith("127.")):
            raise ConfigError(
                f"listen is {self.listen!r}: beyond loopback nothing is authenticated yet; "
                "set insecure = true to allow it"
            )
        mine = self.advertise or self.listen
        if self.seeds and all(seed == mine for seed in self.seeds):
            raise ConfigError(f"seeds names this node itself, {mine!r}, and nobody else: whom is it to ask?")
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


def _addresses(name: str, given: object) -> None:
    if not isinstance(given, list | tuple):
        raise ConfigError(f"{name} must be a list of 'host:port'")
    addresses = cast("list[object]", given)
    for address in addresses:
        split_address(address, name)
        gossip_address(cast("str", address))
    if len(dict.fromkeys(addresses)) != len(addresses):
        raise ConfigError(f"{name} names an address twice")


def _known(prefix: str, values: Mapping[str, Any], names: list[str]) -> None:
    for name in values:
        if name not in names:
            near = difflib.get_close_matches(name, names, 1)
            hint = f"; did you mean {prefix}{near[0]}?" if near else f"; known are {', '.join(sorted(names))}"
            raise ConfigError(f"unknown setting {prefix}{name}{hint}")


def _choice(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ConfigError(f"{name} is {value!r}, but must be one of {', '.join(allowed)}")
