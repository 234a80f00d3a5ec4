"""A node of a PySyncObj cluster with one ReplQueue, and what measures it: PySyncObj has no clients, an
application is a node itself.

One rule: a load runs inside the node that it is asked for, driven by the callbacks of its own commands, so
that no other thread stands between.

A connection to the control port brings one line, a job's arguments as JSON, and gets what the job prints.
"""

import json
import socket
import sys
import threading
import time
from importlib import import_module
from typing import Any

from benchmarks.peers.programs.job import Arrivals, Job, Wrong, now

pysyncobj: Any = import_module("pysyncobj")
batteries: Any = import_module("pysyncobj.batteries")
_SUCCESS = 0
_PATIENCE_S = 60.0
_AGAIN_S = 2.0


class Node:
    """One member. ``batched``: its default, entries wait for the next of its periodic messages; better for
    many commands, worse for one."""

    def __init__(self, own: str, others: list[str], directory: str, *, batched: bool) -> None:
        self.queue: Any = batteries.ReplQueue()
        conf = pysyncobj.SyncObjConf(
            journalFile=f"{directory}/journal",
            fullDumpFile=f"{directory}/dump",
            appendEntriesUseBatch=batched,
        )
        self.member: Any = pysyncobj.SyncObj(own, others, conf, consumers=[self.queue])

    def status(self) -> dict[str, Any]:
        """What this member knows."""
        found = self.member.getStatus()
        leader = found["leader"]
        connected = sum(
            value == 2 for name, value in found.items() if name.startswith("partner_node_status_server_")
        )
        return {
            "leader": None if leader is None else str(leader),
            "self": str(found["self"]),
            "ready": bool(self.member.isReady()),
            "connected": connected,
            "applied": int(found["last_applied"]),
            "queued": int(self.queue.qsize()),
        }


class Load:
    """A job on a node: so many commands in flight; the callback of one starts the next."""

    def __init__(self, node: Node, job: Job) -> None:
        self._node = node
        self._job = job
        self._bodies = job.load()
        self._next = 0
        self._pending = 0
        self._confirmed = 0
        self._arrivals = Arrivals(self._bodies)
        self._finished = threading.Event()
        self._fault: str | None = None

    def publish(self) -> dict[str, Any]:
        """Every put is confirmed."""
        return self._timed(self._put)

    def consume(self) -> dict[str, Any]:
        """Every get is confirmed; a get removes at once, there is nothing to acknowledge."""
        return self._timed(self._get)

    def both(self) -> dict[str, Any]:
        """A get for each put, as soon as that is confirmed."""
        self._chained = True
        return self._timed(self._put)

    _chained = False

    def _timed(self, first: Any) -> dict[str, Any]:
        begun = now()
        for _ in range(min(self._job.window, len(self._bodies))):
            first()
        before = -1
        while not self._finished.wait(_PATIENCE_S):
            if self._confirmed + self._arrivals.different == before:
                raise Wrong(f"no progress: {self._confirmed} put, {self._arrivals.different} arrived")
            before = self._confirmed + self._arrivals.different
        if self._fault is not None:
            raise Wrong(self._fault)
        return {
            "count": len(self._bodies),
            "seconds": now() - begun,
            "duplicates": self._arrivals.duplicates,
            "redelivered": 0,
        }

    def _fail(self, reason: str) -> None:
        self._fault = reason
        self._finished.set()

    def _put(self) -> None:
        number, self._next = self._next, self._next + 1
        if number < len(self._bodies):
            self._node.queue.put(self._bodies[number], callback=self._was_put)

    def _was_put(self, stored: Any, error: int) -> None:
        if error != _SUCCESS or not stored:
            self._fail(f"a put was refused: {error}")
            return
        self._confirmed += 1
        if self._chained:
            self._node.queue.get(callback=self._was_got)
        else:
            if self._confirmed == len(self._bodies):
                self._finished.set()
            self._put()

    def _get(self) -> None:
        number, self._next = self._next, self._next + 1
        if number < len(self._bodies):
            self._node.queue.get(callback=self._was_got)

    def _was_got(self, body: Any, error: int) -> None:
        if error != _SUCCESS or body is None:
            self._fail(f"a get was refused: {error}, {body!r}")
            return
        try:
            self._arrivals.take(body)
        except Wrong as wrong:
            self._fail(str(wrong))
            return
        if self._arrivals.complete:
            self._finished.set()
        if self._chained:
            self._put()
        else:
            self._get()


def latency(node: Node, job: Job) -> dict[str, Any]:
    """Puts at even times; each wait begins when its time has come."""
    bodies = job.load()
    due = [0.0] * len(bodies)
    waits = [0.0] * len(bodies)
    confirmed = threading.Semaphore(0)
    faults: list[int] = []

    def put(number: int) -> None:
        def done(_stored: Any, error: int) -> None:
            waits[number] = now() - due[number]
            if error != _SUCCESS:
                faults.append(error)
            confirmed.release()

        node.queue.put(bodies[number], callback=done)

    start = now() + 0.1
    for number in range(len(bodies)):
        due[number] = start + number / job.rate
        time.sleep(max(0.0, due[number] - now()))
        put(number)
    for _ in bodies:
        if not confirmed.acquire(timeout=_PATIENCE_S):
            raise Wrong("a put is not confirmed")
    if faults:
        raise Wrong(f"a put was refused: {faults[0]}")
    return {"count": len(bodies), "waits_ms": [wait * 1e3 for wait in waits[job.warm :]]}


def stream(node: Node, job: Job, connection: socket.socket) -> dict[str, Any]:
    """One put after the other, each until it is confirmed; a line of two moments, in nanoseconds, for each.
    Ends between two of them once the other end sends no more."""
    bodies = job.load()
    stopping = threading.Event()
    threading.Thread(target=_set_at_end, args=(connection, stopping), daemon=True).start()
    number = 0
    for body in bodies:
        begun = time.monotonic_ns()
        while not _put_once(node, body):
            time.sleep(0.005)
        connection.sendall(f"{begun} {time.monotonic_ns()}\n".encode())
        number += 1
        if stopping.is_set():
            break
    return {"confirmed": number}


def _set_at_end(connection: socket.socket, event: threading.Event) -> None:
    """Once the other end sends no more."""
    connection.recv(1)
    event.set()


def _put_once(node: Node, body: bytes) -> bool:
    outcome: list[bool] = []
    done = threading.Event()

    def called(stored: Any, error: int) -> None:
        outcome.append(error == _SUCCESS and bool(stored))
        done.set()

    node.queue.put(body, callback=called)
    return done.wait(_AGAIN_S) and outcome[0]


def audit(node: Node, job: Job) -> dict[str, Any]:
    """Takes all there is; how much of what was sent is missing, and how much was there twice."""
    arrivals = Arrivals(job.load())
    while True:
        body = node.queue.get(sync=True, timeout=_PATIENCE_S)
        if body is None:
            break
        arrivals.take(body)
    lost = job.count - arrivals.different
    return {"count": arrivals.different, "lost": lost, "duplicates": arrivals.duplicates, "redelivered": 0}


def perform(node: Node, job: Job, connection: socket.socket) -> dict[str, Any]:
    """The job's answer. Raises Wrong."""
    match job.mode:
        case "status":
            return node.status()
        case "publish":
            return Load(node, job).publish()
        case "consume":
            return audit(node, job) if job.audit else Load(node, job).consume()
        case "both":
            return Load(node, job).both()
        case "latency":
            return latency(node, job)
        case "stream":
            return stream(node, job, connection)
        case _:
            raise Wrong(f"unknown mode: {job.mode}")


def _serve(node: Node, connection: socket.socket) -> None:
    with connection:
        line = connection.makefile("rb").readline()
        try:
            answer = perform(node, Job.parse(json.loads(line)), connection)
        except Exception as error:  # it goes to the one that asked
            answer = {"error": f"{type(error).__name__}: {error}"}
        try:
            connection.sendall(json.dumps(answer).encode() + b"\n")
        except OSError:
            pass  # it asked, and went


def main() -> None:
    """``OWN OTHER,OTHER CONTROL_PORT DIRECTORY batched|single``."""
    own, others, control, directory, how = sys.argv[1:]
    node = Node(own, others.split(","), directory, batched=how == "batched")
    listener = socket.create_server(("127.0.0.1", int(control)))
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_serve, args=(node, connection), daemon=True).start()


if __name__ == "__main__":
    main()
