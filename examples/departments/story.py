"""What happens in the example: three nodes start, records flow, the leader is killed, comes back, and all is
counted.

One rule: the story is told against real processes only; the kill is SIGKILL, and nobody is told that it
comes.
"""

import math
import signal
import tempfile
from pathlib import Path

import trio

import haqactor
from examples.departments import generate, report
from examples.departments.consumers import consume
from examples.departments.events import DEPARTMENTS, BadEvent, Event, read, write
from examples.departments.producers import publish, queue_name
from examples.departments.state import expected
from haqactor.cli.launcher import LaunchFailed, LocalCluster, free_base_port

_BOUND_SECONDS = 55.0


def run(file: Path | None, count: int, rate: float) -> int:
    """The whole story; returns the exit code."""
    with tempfile.TemporaryDirectory(prefix="departments-", ignore_cleanup_errors=True) as place:
        directory = Path(place)
        try:
            if file is None:
                file = directory / "events.jsonl"
                write(generate.generate(count), file)
            events = read(file)
        except (BadEvent, OSError) as error:
            report.fail(str(error))
            return 2
        outcome = report.Outcome(events=len(events), expected=expected(events))
        try:
            trio.run(_bounded, directory / "cluster", events, rate, outcome)
        except LaunchFailed as error:
            report.fail(str(error))
            return 1
        report.show(outcome)
        return 0 if outcome.right else 1


async def _bounded(directory: Path, events: list[Event], rate: float, outcome: report.Outcome) -> None:
    seconds = max(_BOUND_SECONDS, 2 * len(events) / rate + 20)
    cluster = LocalCluster.found(directory, 3, await free_base_port(3))
    try:
        with trio.move_on_after(seconds) as scope:
            await _tell(cluster, events, rate, outcome)
    finally:
        cluster.stop()
    if scope.cancelled_caught:
        outcome.problems.append(f"not done after {seconds:g} s")
    if not outcome.right:
        for node in cluster.nodes:
            report.fail(f"the end of node {node.number}'s log:\n{node.last_log_lines()}")


async def _tell(cluster: LocalCluster, events: list[Event], rate: float, outcome: report.Outcome) -> None:
    begun = trio.current_time()
    await cluster.start()
    outcome.start_seconds = trio.current_time() - begun
    report.say(f"3 nodes confirm after {outcome.start_seconds:.1f} s: {cluster.url}")
    flow, registry = outcome.flow, outcome.registry
    async with haqactor.connect(cluster.url) as offices, haqactor.connect(cluster.url) as registries:
        for name in DEPARTMENTS:
            await offices.declare(queue_name(name))
        async with trio.open_nursery() as nursery:
            for name in DEPARTMENTS:
                nursery.start_soon(consume, registries, name, registry)
            async with trio.open_nursery() as publishing:
                publishing.start_soon(_disturb, cluster, offices, len(events), outcome)
                for name in DEPARTMENTS:
                    mine = [event for event in events if event.department == name]
                    publishing.start_soon(publish, offices, name, mine, flow, rate / len(DEPARTMENTS))
            report.say(f"{len(flow.confirmed)} records confirmed; waiting for the registries")
            await _drained(offices, outcome)
            nursery.cancel_scope.cancel()
    outcome.seconds = trio.current_time() - begun


async def _disturb(
    cluster: LocalCluster, broker: haqactor.Broker, total: int, outcome: report.Outcome
) -> None:
    """Kill the leader of the first department's queue at a third of the flow, start it again at two
    thirds.
    """
    flow = outcome.flow
    await flow.wait_until(lambda: len(flow.confirmed) >= total // 3)
    leaders = {name: (await broker.queue(queue_name(name)).info()).leader for name in DEPARTMENTS}
    victim = leaders[DEPARTMENTS[0]]
    hit = [name for name, leader in leaders.items() if leader == victim]
    killed = trio.current_time()
    pid = cluster.kill(victim, signal.SIGKILL)
    report.say(
        f"node {victim} (pid {pid}), the leader of {' and '.join(map(queue_name, hit))}, killed with -9"
    )
    await flow.wait_until(lambda: flow.first_confirm_after(killed, hit) is not None)
    outcome.failover_ms = ((flow.first_confirm_after(killed, hit) or math.inf) - killed) * 1000
    report.say(f"next confirm {outcome.failover_ms:.0f} ms after the kill")
    await flow.wait_until(lambda: len(flow.confirmed) >= 2 * total // 3)
    await cluster.restart(victim)
    report.say(f"node {victim} started again")


async def _drained(broker: haqactor.Broker, outcome: report.Outcome) -> None:
    """Until the leaders of both queues say that nothing is left; then ask how much was ever stored."""
    while True:
        infos = [await broker.queue(queue_name(name)).info() for name in DEPARTMENTS]
        if all(info.ready == info.leased == info.delayed == 0 for info in infos):
            outcome.stored = sum(info.next_seq - 1 for info in infos)
            return
        await trio.sleep(0.02)
