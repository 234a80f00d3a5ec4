"""Every peer by its name: which cluster, which client, which rows.

One rule: the names are fixed; they are the keys of ``ratio_to`` in ``results.json``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from benchmarks.peers import places
from benchmarks.peers.cluster import Cluster, ports_from
from benchmarks.peers.nats import Nats
from benchmarks.peers.pysyncobj import PySyncObj
from benchmarks.peers.rabbitmq import RabbitMQ
from benchmarks.peers.redis import Redis

Purpose = Literal["load", "latency", "failover"]
"""What a cluster is for: many messages, single ones that are timed, or losing its leader."""

_SERVER: Final = (
    *("publish", "end-to-end", "publish-single", "end-to-end-single", "end-to-end-1KiB", "end-to-end-64KiB"),
    *("latency", "latency-1000", "latency-10000", "failover", "failover-stop"),
    *("start", "memory", "disk", "queues", "restart-all"),
)
_TOO_MUCH: Final = ("end-to-end-64KiB", "latency-10000", "memory", "queues", "restart-all")
"""What PySyncObj would take hours for, or cannot keep up with."""
_CLIENT: Final = ("publish-await", "consume-each")


@dataclass(frozen=True, slots=True)
class Peer:
    """``client``: ``C`` or ``Python``. ``parts``: of ``places``, what has to be installed. ``programs``: the
    rows that it has. ``tuning``: arguments for its client. ``single_is_same``: it has no batches of its own,
    so one figure stands for both. ``share``: of the number of messages that others get, for a slow one.
    ``module``: the Python client's program, where that is what is measured."""

    name: str
    client: Literal["C", "Python"]
    parts: tuple[str, ...]
    programs: tuple[str, ...]
    make: Callable[[Path, Purpose], Cluster]
    tuning: Mapping[str, int] = field(default_factory=dict[str, int])
    single_is_same: bool = False
    share: float = 1.0
    module: str | None = None

    def command(self, cluster: Cluster, mode: str, first: int = 0) -> list[str]:
        """The client's program and its arguments, but for the job's own."""
        tuning = [f"{name}={value}" for name, value in self.tuning.items()]
        if self.module is None or mode == "declare":
            return [*cluster.command(mode, first), *(tuning if self.module is None else ())]
        program = f"benchmarks.peers.programs.{self.module}"
        return [
            str(places.python()),
            "-m",
            program,
            mode,
            f"ports={ports_from(cluster.servers, first)}",
            *tuning,
        ]

    def missing(self) -> list[str]:
        """What is not installed."""
        return places.missing(self.parts)


def _rabbitmq(directory: Path, _purpose: Purpose) -> Cluster:
    return RabbitMQ(directory)


def _nats(directory: Path, _purpose: Purpose) -> Cluster:
    return Nats(directory, always=False)


def _nats_always(directory: Path, _purpose: Purpose) -> Cluster:
    return Nats(directory, always=True)


def _redis_always(directory: Path, purpose: Purpose) -> Cluster:
    return Redis(directory, "always", watched=purpose == "failover")


def _redis_everysec(directory: Path, purpose: Purpose) -> Cluster:
    return Redis(directory, "everysec", watched=purpose == "failover")


def _pysyncobj(directory: Path, purpose: Purpose) -> Cluster:
    return PySyncObj(directory, batched=purpose == "load")


_RABBITMQ: Final = ("rabbitmq-server", places.compiled("rabbitmq"))
_NATS: Final = ("nats-server", places.compiled("nats"))
_REDIS: Final = ("redis-server", places.compiled("redis"))

PEERS: Final[dict[str, Peer]] = {
    peer.name: peer
    for peer in (
        Peer("rabbitmq-quorum", "C", _RABBITMQ, _SERVER, _rabbitmq, single_is_same=True),
        Peer("nats-r3", "C", _NATS, _SERVER, _nats),
        Peer("nats-r3-always", "C", _NATS, _SERVER, _nats_always),
        Peer("redis-wait1-always", "C", _REDIS, _SERVER, _redis_always, {"links": 2}, single_is_same=True),
        Peer(
            "redis-wait1-everysec", "C", _REDIS, _SERVER, _redis_everysec, {"links": 2}, single_is_same=True
        ),
        Peer(
            "pysyncobj",
            "Python",
            ("pysyncobj",),
            tuple(name for name in _SERVER if name not in _TOO_MUCH),
            _pysyncobj,
            single_is_same=True,
            share=0.1,
        ),
        Peer(
            "aio-pika",
            "Python",
            (*_RABBITMQ, "aio_pika"),
            _CLIENT,
            _rabbitmq,
            {"credit": 2_000},
            module="aio_pika_client",
        ),
        Peer(
            "nats-py", "Python", (*_NATS, "nats"), _CLIENT, _nats, {"credit": 10_000}, module="nats_py_client"
        ),
        Peer("redis-py", "Python", (*_REDIS, "redis"), _CLIENT, _redis_everysec, module="redis_py_client"),
    )
}
"""In the order of the table. A Python client's server is set as it comes: NATS and Redis sync now and then.
"""
