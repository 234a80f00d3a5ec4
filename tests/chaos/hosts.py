"""Hosts of clients: each has one connection to the cluster and runs its programs in it, life after life.

One rule: what ends a session ends that life only; a host whose power goes says no goodbye, and its programs
are stopped where they are.
"""

from collections.abc import Callable
from typing import Final, Protocol

import trio

import haqactor
from haqactor.runtime.real import environment
from tests.chaos.conditions import Condition, Mode, Way
from tests.chaos.producers import PAUSE_S
from tests.chaos.relay import Relay
from tests.chaos.routed_network import routed

_OFF: Final = Condition(Way(Mode.CUT), Way(Mode.CUT))


class Program(Protocol):
    """What runs on a host. ``flag``: for a producer, whether to go on; for a consumer, whether to be
    orderly."""

    async def run(self, broker: haqactor.Broker, flag: Callable[[], bool], /) -> None: ...


class Host:
    """``producers`` and ``consumers`` of one machine."""

    def __init__(
        self, name: str, url: str, relay: Relay, producers: list[Program], consumers: list[Program]
    ) -> None:
        self.name = name
        self.url = url
        self.relay = relay
        self.producers = producers
        self.consumers = consumers
        self.producing = dict.fromkeys(range(len(producers)))
        self.lives = 0
        self.going = True
        self.orderly = False
        self.over = False
        self._life = trio.CancelScope()
        self._power = trio.Event()
        self._power.set()

    async def run(self) -> None:
        """Until ``stop``."""
        while not self.over:
            await self._power.wait()
            with trio.CancelScope() as self._life:
                try:
                    await self._live()
                except* haqactor.Error:
                    await trio.sleep(PAUSE_S)

    async def _live(self) -> None:
        self.lives += 1
        world = routed(environment(sync="thread"), self.relay.topology.routes(self.name))
        async with haqactor.connect(self.url, environment=world) as broker, trio.open_nursery() as nursery:
            for number in list(self.producing):
                nursery.start_soon(self._produce, number, broker)
            for program in self.consumers:
                nursery.start_soon(program.run, broker, self._is_orderly)

    async def _produce(self, number: int, broker: haqactor.Broker) -> None:
        await self.producers[number].run(broker, self._is_going)
        self.producing.pop(number, None)

    def _is_going(self) -> bool:
        return self.going

    def _is_orderly(self) -> bool:
        return self.orderly

    def settle(self) -> None:
        """Producers finish what they are at; consumers return nothing any more."""
        self.going, self.orderly = False, True

    def stop(self) -> None:
        """It has to come to an end."""
        self.over = True
        self._life.cancel()

    async def lose_power(self, back: trio.Event) -> None:
        """Nothing leaves it from now on, and its programs stop; they start anew once the power is back."""
        if not self._power.is_set():
            return  # it is off already
        self._power = trio.Event()
        key = ("power", self.name)
        self.relay.impose(key, {pair: _OFF for pair in self.relay.topology.pairs if pair[0] == self.name})
        self._life.cancel()
        try:
            await back.wait()
        finally:
            self.relay.lift(key)
            self._power.set()


class Observer:
    """A connection of the harness itself, through links that no fault touches but those of nodes: for
    looking, and for nothing that is judged."""

    def __init__(self, broker: haqactor.Broker, queues: tuple[str, ...]) -> None:
        self._broker = broker
        self._queues = queues
        self._turn = 0

    async def leader(self) -> str | None:
        """The node that leads one of the queues; None where nobody says so within a second."""
        self._turn += 1
        queue = self._queues[self._turn % len(self._queues)]
        with trio.move_on_after(1.0):
            try:
                return f"n{(await self._broker.queue(queue).info()).leader}"
            except haqactor.Error:
                return None
        return None

    async def left(self) -> dict[str, str]:
        """What queues still hold: {queue: what}; empty where all are empty. Raises haqactor.Error."""
        found: dict[str, str] = {}
        for queue in self._queues:
            info = await self._broker.queue(queue).info()
            if info.ready or info.leased or info.delayed or info.dead:
                found[queue] = str(info)
        return found

    async def stored(self) -> dict[str, int]:
        """How many messages each queue ever stored."""
        return {queue: (await self._broker.queue(queue).info()).next_seq - 1 for queue in self._queues}
