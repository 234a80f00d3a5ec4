"""The Broker: what a program holds of a cluster, whether it is embedded or far away.

One rule: there is one Broker and one way through it; only the Transport below differs.
"""

import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final, NamedTuple, final

import structlog
import trio

from haqactor import wire
from haqactor.client.arguments import HeaderValue, content_of
from haqactor.client.consumer import Consumer
from haqactor.client.errors import RequestUnknown
from haqactor.client.getter import Getter
from haqactor.client.lane import ANY_NODE
from haqactor.client.options import Options
from haqactor.client.producer import Producer, Publisher, Receipt
from haqactor.client.producing import Identity
from haqactor.client.queue import Queue
from haqactor.client.session import NS, Session, running
from haqactor.client.statistics import QueueInfo, QueueStatistics
from haqactor.client.structured import OpenNursery
from haqactor.client.transport import Transport
from haqactor.codec import are_numbers, is_list
from haqactor.config import QueueConfig, check_name
from haqactor.env import Environment
from haqactor.errors import Error, InvalidArgument, NoQuorum, NotFound, OutcomeUnknown, ProtocolError
from haqactor.ids import METADATA_GROUP

INFOS_AT_ONCE: Final = 64
_PUBLIC: Final[dict[str, str]] = {
    "lease_ns": "lease", "max_attempts": "max_attempts", "dead_letter": "dead_letter",
    "backoff_ns": "backoff", "backoff_max_ns": "backoff_max", "max_messages": "max_messages",
    "max_bytes": "max_bytes",
}  # fmt: skip


class Target(NamedTuple):
    """Where a queue lives: its incarnation and its group."""

    uid: int
    group: int


class _Unset:
    """Not given: keeps its value or default (None is a value)."""


_UNSET: Final = _Unset()
_GONE_MAX: Final = 1000
"""Names of deleted queues that are remembered: a program may delete for ever what it never asks for again."""


@final
class Broker:
    """A cluster. Made by ``open_session``; its block is its life."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.getters: dict[tuple[int, bool], Getter] = {}
        self._targets: dict[str, Target] = {}
        self._resolving: dict[str, trio.Event] = {}
        self._gone: dict[str, None] = {}
        self._consumers: dict[Consumer, None] = {}
        self._ended: dict[str, dict[str, int]] = {}
        self._anonymous = Publisher(self, Identity(session.environment.random.token(16), 0))

    # -- queues

    def queue(self, name: str) -> Queue:
        """A handle on the queue of that name; no round trip, and it need not exist yet."""
        return Queue(self, check_name(name))

    async def declare(
        self,
        queue: str | QueueConfig,
        *,
        lease: float | _Unset = _UNSET,
        max_attempts: int | _Unset = _UNSET,
        dead_letter: str | _Unset | None = _UNSET,
        backoff: float | _Unset = _UNSET,
        backoff_max: float | _Unset = _UNSET,
        max_messages: int | _Unset = _UNSET,
        max_bytes: int | _Unset = _UNSET,
    ) -> Queue:
        """Make the queue be like this: created, or changed where it differs (``.changes`` says how). By name,
        settings not given keep their value (or default); a record sets them all. Raises InvalidArgument,
        Conflict, NoQuorum."""
        options = {
            "lease": lease, "max_attempts": max_attempts, "dead_letter": dead_letter, "backoff": backoff,
            "backoff_max": backoff_max, "max_messages": max_messages, "max_bytes": max_bytes,
        }  # fmt: skip
        given: dict[str, Any] = {
            name: value for name, value in options.items() if not isinstance(value, _Unset)
        }
        if isinstance(queue, QueueConfig):
            if given:
                raise InvalidArgument("declare takes either a QueueConfig or a name with settings, not both")
            name, settings = queue.name, queue.settings()
        else:
            name = check_name(queue)
            full = QueueConfig(name, **given).settings()
            settings = {wired: full[wired] for wired, public in _PUBLIC.items() if public in given}
        return await self._declare(name, settings)

    async def _declare(self, name: str, settings: dict[str, Any]) -> Queue:
        try:
            return await self._converge(name, settings)
        except OutcomeUnknown as error:
            again = partial(self._declare, name, settings)
            raise RequestUnknown(str(error), queue=name, retry=again) from error

    async def _converge(self, name: str, settings: dict[str, Any]) -> Queue:
        reply = await self.session.ask(METADATA_GROUP, wire.Declare(0, name, settings), mutates=True)
        try:
            target, version = Target(int(reply["uid"]), int(reply["group"])), int(reply["version"])
            also = [(int(uid), int(group), int(number)) for uid, group, number in reply["also"]]
            changes = {
                _PUBLIC.get(str(key), str(key)): _change(str(key), old, new)
                for key, (old, new) in reply["changes"].items()
            }
            created = bool(reply["created"])
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
            raise ProtocolError(f"the reply to Declare is {reply!r:.80}") from error
        self._targets[name] = target
        await self._await(target.group, target.uid, version, gone=False)
        for uid, group, number in also:
            await self._await(group, uid, number, gone=False)
        return Queue(self, name, changes, created)

    async def _await(self, group: int, uid: int, version: int, *, gone: bool) -> None:
        try:
            await self.session.ask(group, wire.Await(0, group, uid, version, gone))
        except NoQuorum as error:
            raise OutcomeUnknown(f"it was decided, but its group cannot confirm it: {error}") from error

    async def delete_queue(self, name: str) -> None:
        """Delete a queue with all its messages. Raises NotFound, Conflict where another queue names it as its
        dead letter, NoQuorum, OutcomeUnknown."""
        check_name(name)
        while not await self._delete(name, await self.resolve(name), again=False):
            pass  # what was known by that name is gone, and another one may have its name

    async def _delete(self, name: str, target: Target, *, again: bool) -> bool:
        try:
            return await self._drop(name, target, again=again)
        except OutcomeUnknown as error:
            retry = partial(self._delete, name, target, again=True)
            raise RequestUnknown(str(error), queue=name, retry=retry) from error

    async def _drop(self, name: str, target: Target, *, again: bool) -> bool:
        """Delete that incarnation, and no other, however late a copy of the request comes to the directory.
        ``again``: an earlier try may have done it. False: it was gone, by somebody else."""
        request = self.session.request(METADATA_GROUP, wire.Delete(0, name, target.uid), mutates=True)
        try:
            await self.session.answer(request)
        except NotFound:
            if not again and request.doubt < 2:
                self.forget(name, target.uid)
                return False
        await self._await(target.group, target.uid, 0, gone=True)
        self.forget(name, target.uid)
        return True

    async def queues(self) -> list[QueueInfo]:
        """Every queue, by name, as its leader sees it. Raises NoQuorum where a group has no leader."""
        reply = await self.session.ask(METADATA_GROUP, wire.Queues(0))
        try:
            rows = [(str(name), int(uid), int(group)) for name, uid, group, _version, _settings in reply]
        except (TypeError, ValueError, OverflowError) as error:
            raise ProtocolError(f"the reply to Queues is {reply!r:.80}") from error
        found: dict[str, QueueInfo] = {}
        limiter = trio.CapacityLimiter(INFOS_AT_ONCE)
        failed: list[Error] = []

        async def look(name: str, uid: int, group: int) -> None:
            async with limiter:
                try:
                    found[name] = QueueInfo.of(name, await self.session.ask(group, wire.Info(0, group, uid)))
                except NotFound:
                    return  # deleted meanwhile
                except Error as error:
                    failed.append(error)  # several queues of a group fail alike, and one says it all
                    nursery.cancel_scope.cancel()

        async with OpenNursery() as nursery:
            for name, uid, group in rows:
                nursery.start_soon(look, name, uid, group)
        if failed:
            raise failed[0]
        return [found[name] for name in sorted(found)]

    async def status(self) -> Mapping[str, Any]:
        """Nodes, groups, leaders and health, as one node sees them."""
        result: Mapping[str, Any] = await self.session.ask(ANY_NODE, wire.Status(0))
        return result

    async def resolve(self, name: str) -> Target:
        """Where a queue is; from memory where it is known. Raises NotFound."""
        while True:
            target = self._targets.get(name)
            if target is not None:
                return target
            asked = self._resolving.get(name)
            if asked is None:
                break
            await asked.wait()
        asked = self._resolving[name] = trio.Event()
        try:
            reply = await self._look_up(name)
            if not is_list(reply) or len(reply) < 2 or not are_numbers(reply[:2]):
                raise ProtocolError(f"the reply to Resolve is {reply!r:.80}")
            target = self._targets[name] = Target(reply[0], reply[1])
            return target
        finally:
            del self._resolving[name]
            asked.set()

    async def _look_up(self, name: str) -> Any:
        if name not in self._gone:
            try:
                return await self.session.ask(ANY_NODE, wire.Resolve(0, name, False))
            except NotFound:  # this node may not have heard of it yet: ask the one that must know
                pass
        try:
            return await self.session.ask(METADATA_GROUP, wire.Resolve(0, name, True))
        except NotFound as error:
            await self._gone_for_all(error)
            raise
        finally:
            self._gone.pop(name, None)

    async def _gone_for_all(self, error: NotFound) -> None:
        """A queue that is being deleted is gone once its group has dropped it: before that, others that know
        it still are answered there, and nobody may say that it is not there."""
        if error.uid:
            await self.session.ask(error.group, wire.Await(0, error.group, error.uid, 0, True))

    def is_superseded(self, name: str, uid: int) -> bool:
        """Is another incarnation of that name known by now?"""
        target = self._targets.get(name)
        return target is not None and target.uid != uid

    def forget(self, name: str, uid: int) -> None:
        """That incarnation is gone; a node that lags behind might name it still, so the next look at the name
        goes to the one that must know."""
        target = self._targets.get(name)
        if target is None or target.uid == uid:
            self._targets.pop(name, None)
            self._gone[name] = None
            if len(self._gone) > _GONE_MAX:
                del self._gone[next(iter(self._gone))]

    # -- publishing

    async def publish(
        self,
        queue: str,
        body: bytes,
        *,
        key: str | None = None,
        headers: Mapping[str, HeaderValue] | None = None,
        message_id: str | None = None,
    ) -> Receipt:
        """Store one message; returns once a quorum has it on disk. Safe against retries of this client, not
        against those of your program: for that, ``producer``. Raises as ``Producer.publish``."""
        content = content_of(body, key, headers, message_id, self.session.core.message_bytes_max)
        return await self._anonymous.send(queue, content, None)

    @asynccontextmanager
    async def producer(self, name: str) -> AsyncGenerator[Producer]:
        """A named session; an older one of that name is fenced. Leaving waits until the outcome of all that
        was sent is known; for 5 s without a leader, 2 s where it was cancelled or failed, but no longer."""
        message = wire.OpenProducer(0, check_name(name, "producer"))
        reply = await self.session.ask(METADATA_GROUP, message)
        identity = Identity(bytes(reply[0]), int(reply[1]))
        publisher = Publisher(self, identity)
        try:
            yield Producer(self, name, publisher, identity)
            await publisher.settle_all()
        except BaseException:
            with trio.move_on_after(self.session.options.grace_ns / NS, shield=True):
                await publisher.settle_all()
            raise
        finally:
            publisher.close()

    # -- consumers' books

    def consumer_began(self, consumer: Consumer) -> None:
        """Count it."""
        self._consumers[consumer] = None

    def consumer_ended(self, consumer: Consumer) -> None:
        """Keep its counts."""
        if consumer in self._consumers:
            del self._consumers[consumer]
            ended = self._ended.setdefault(consumer.queue, {})
            for name, value in consumer.statistics_row().items():
                if name not in ("buffered", "unsettled", "tasks_waiting_receive"):
                    ended[name] = ended.get(name, 0) + value

    def statistics_of(self, name: str) -> QueueStatistics:
        """All consumers of a queue."""
        consumers = [*self._consumers, *self.getters.values()]
        rows = [consumer.statistics_row() for consumer in consumers if consumer.queue == name]
        return QueueStatistics.total(rows, self._ended.get(name, {}))

    async def leave(self) -> None:
        """Stop fetching, release what is held, flush, and end the anonymous session. All consumers at once:
        each has its grace, and together they have no more."""
        async with OpenNursery() as nursery:
            for consumer in [*self._consumers, *self.getters.values()]:
                nursery.start_soon(consumer.leave_in_grace)
        await self._anonymous.settle_all()
        self._anonymous.close()
        for group, producer in self._anonymous.identities:
            try:
                await self.session.ask(group, wire.End(0, group, producer))
            except Error as error:
                self.session.log.debug("the anonymous session was not ended", group=group, error=str(error))


def _change(key: str, old: Any, new: Any) -> tuple[Any, Any]:
    if key.endswith("_ns"):
        return (old if old is None else old / NS, new if new is None else new / NS)
    return (old, new)


def quiet_logger() -> Any:
    """The program's structlog, once it has configured one; else warnings and worse, on standard error, with
    plain tracebacks. Nothing global is configured."""
    if structlog.is_configured():
        return structlog.get_logger("haqactor.client")
    wrapper = structlog.make_filtering_bound_logger("warning")
    renderer = structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
    )
    return structlog.wrap_logger(
        structlog.PrintLogger(sys.stderr),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%Y-%m-%d %H:%M:%S", utc=False),
            structlog.processors.StackInfoRenderer(),
            renderer,
        ],
        wrapper_class=wrapper,
        cache_logger_on_first_use=True,
    )


@asynccontextmanager
async def open_session(
    transport: Transport, environment: Environment, options: Options | None = None, *, log: Any = None
) -> AsyncGenerator[Broker]:
    """A Broker over any transport. Leaving the block stops fetching, flushes, releases and closes, within the
    grace. Raises NoQuorum where no node answers, and what a node refused us with."""
    chosen = options or Options()
    logger = log if log is not None else quiet_logger()
    async with running(transport, environment, chosen, logger) as session:
        broker = Broker(session)
        try:
            yield broker
        finally:
            with trio.move_on_after(chosen.grace_ns / NS, shield=True):
                await broker.leave()
