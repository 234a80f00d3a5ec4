"""Redis streams as people use them from Python: redis-py, with hiredis.

One rule: what it is good at: pipelines of a thousand commands. Awaiting each publish and its WAIT on its own
would be a thousand connections; an acknowledgement is a command for each message, in a pipeline as well.
"""

import sys
from importlib import import_module
from typing import Any

from benchmarks.peers.programs.job import Arrivals, Job, Wrong, fail, now, report

redis: Any = import_module("redis")
_GROUP = "g"
_WAIT = ("WAIT", 1, 10_000)


def publish(job: Job, bodies: list[bytes], connection: Any) -> None:
    """Pipelines of ``window``, each with a WAIT at its end."""
    begun = now()
    for at in range(0, len(bodies), job.window):
        pipeline = connection.pipeline(transaction=False)
        for body in bodies[at : at + job.window]:
            pipeline.xadd(job.queue, {"b": body})
        pipeline.execute_command(*_WAIT)
        if pipeline.execute()[-1] < 1:
            raise Wrong("no replica has what was published")
    report(len(bodies), now() - begun)


def consume(job: Job, bodies: list[bytes], connection: Any) -> None:
    """Until a replica has the last acknowledgement."""
    arrivals = Arrivals(bodies)
    begun = now()
    while not arrivals.complete:
        found = connection.xreadgroup(_GROUP, "c", {job.queue: ">"}, count=job.credit, block=1_000)
        ((_, entries),) = found
        pipeline = connection.pipeline(transaction=False)
        for number, values in entries:
            arrivals.take(values[b"b"])
            pipeline.xack(job.queue, _GROUP, number)
        if arrivals.complete:
            pipeline.execute_command(*_WAIT)
        if pipeline.execute()[-1] < 1:
            raise Wrong("an acknowledgement was refused")
    report(len(bodies), now() - begun, arrivals.duplicates)


def run(job: Job) -> None:
    """Connect to the first port and do it."""
    bodies = job.load()
    connection = redis.Redis(host="127.0.0.1", port=job.ports[0])
    match job.mode:
        case "publish":
            publish(job, bodies, connection)
        case "consume":
            consume(job, bodies, connection)
        case _:
            raise Wrong(f"unknown mode: {job.mode}")


def main() -> None:
    """Exit code 1 where anything is wrong."""
    try:
        run(Job.parse(sys.argv[1:]))
    except Exception as error:  # whatever it is, the reason goes to the one that started this program
        fail(error)


if __name__ == "__main__":
    main()
