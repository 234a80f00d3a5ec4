"""What goes to a client program and what comes back, and the files that hold the messages."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks.bodies import employee_bodies, random_bodies
from benchmarks.peers.cluster import Cluster
from benchmarks.peers.jobs import Bodies, Driver, arguments, numbered, parse, random_file
from benchmarks.peers.processes import Server
from benchmarks.peers.registry import Peer
from benchmarks.result import BenchmarkWrong


class _Cluster:
    """Its client is a shell command."""

    def __init__(self, script: str) -> None:
        self.servers = [Server(number, 100 + number, Path(), []) for number in range(3)]
        self.helpers: list[Server] = []
        self.script = script

    def command(self, mode: str, first: int = 0) -> list[str]:
        return ["/bin/sh", "-c", self.script, f"{mode} {first}"]

    async def wait_ready(self) -> None: ...

    async def leader(self, queue: str) -> Server:
        return self.servers[2]

    async def wait_whole(self, queue: str) -> None: ...


def driver(script: str) -> Driver:
    cluster: Cluster = _Cluster(script)
    return Driver(Peer("shell", "C", (), (), lambda _directory, _purpose: cluster), cluster)


def test_arguments() -> None:
    assert arguments({"queue": "q", "count": 3}) == ["queue=q", "count=3"]


def test_the_result_is_the_last_line() -> None:
    assert parse('1 2\n{"count": 3}\n') == {"count": 3}
    for text in ("", "1 2\n", '{"count": 3'):
        with pytest.raises(BenchmarkWrong, match="no result"):
            parse(text)


async def test_the_file_holds_what_everybody_sends() -> None:
    async with random_file(20, 100) as bodies:
        assert bodies.path.read_bytes() == b"".join(random_bodies(20, 100))
        assert bodies.arguments() == {"bodies": str(bodies.path), "count": 20, "size": 100}
    assert not bodies.path.exists()


def test_records_get_their_numbers() -> None:
    records = employee_bodies(3)
    made = numbered(records)
    assert [int.from_bytes(each[:8], "big") for each in made] == [0, 1, 2]
    assert [each[8:] for each in made] == [record[:-8] for record in records]
    assert {len(each) for each in made} == {100}


async def test_a_run_gives_the_clients_result() -> None:
    bodies = Bodies(Path("/b"), 3, 100)
    found = await driver("""echo '{"count": 3, "said": "'"$0 $*"'"}'""").run("both", "q", bodies, window=5)
    assert found["said"] == "both 0 queue=q bodies=/b count=3 size=100 window=5"


async def test_clients_connect_to_the_leader_of_what_was_declared() -> None:
    shell = driver("""echo '{"count": 0, "said": "'"$0"'"}'""")
    await shell.declare("q")
    assert (await shell.run("publish", "q"))["said"] == "publish 2"


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo broken >&2; exit 1", "publish: broken"),
        ("exit 3", "exit code 3"),
        ("true", "no result"),
        ("""echo '{"count": 2}'""", "3 were given, 2 told of"),
    ],
)
async def test_what_makes_a_run_wrong(script: str, reason: str) -> None:
    with pytest.raises(BenchmarkWrong, match=reason):
        await driver(script).run("publish", "q", Bodies(Path("/b"), 3, 100))


async def test_an_audit_may_miss_some() -> None:
    found: dict[str, Any] = await driver("""echo '{"count": 2, "lost": 1}'""").run(
        "consume", "q", Bodies(Path("/b"), 3, 100), audit=1
    )
    assert found["lost"] == 1
