"""The command line against three real nodes: what it prints, and its exit codes."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from haqactor.cli import exits
from haqactor.cli.launcher import LocalCluster

SECONDS_MAX = 60
ROOT = Path(__file__).resolve().parent.parent.parent


def haq(
    cluster: LocalCluster, *arguments: str, given: bytes = b"", code: int = exits.OK
) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "HAQ_URL": cluster.url, "HAQ_DATA_DIR": str(cluster.directory)}
    done = subprocess.run(
        [sys.executable, "-m", "haqactor", *arguments],
        input=given,
        capture_output=True,
        timeout=SECONDS_MAX,
        env=environment,
        check=False,
    )
    assert done.returncode == code, done.stderr.decode()
    assert b"Traceback" not in done.stderr
    return done


def data(done: subprocess.CompletedProcess[bytes]) -> Any:
    return json.loads(done.stdout)


def test_publish_and_subscribe(triple: LocalCluster) -> None:
    haq(triple, "queue", "declare", "letters", "--max-attempts", "3")
    receipt = data(haq(triple, "pub", "letters", "one", "-o", "json"))
    assert receipt["receipts"] == [{"seq": 1, "producer_seq": 1, "duplicate": False}]
    assert b"seq 2" in haq(triple, "pub", "letters", "-", given=b"two").stdout
    lines = haq(triple, "pub", "letters", "--lines", "-", given=b"three\n\nfive", code=exits.OK)
    assert lines.stdout == b"published 3 messages to letters, seq 3 to 5\n"
    looked = haq(triple, "sub", "letters", "--no-ack", "--limit", "2")
    assert looked.stdout == b"one\ntwo\n"
    assert haq(triple, "sub", "letters", "--limit", "1").stdout == b"one\n"
    rest = [
        json.loads(line)
        for line in haq(triple, "sub", "letters", "--until-empty", "-o", "json").stdout.splitlines()
    ]
    assert [message["body"] for message in rest] == ["two", "three", "", "five"]
    assert [message["seq"] for message in rest] == [2, 3, 4, 5]
    assert haq(triple, "sub", "letters", "--until-empty").stdout == b""


def test_many_lines_keep_their_order(triple: LocalCluster, tmp_path: Path) -> None:
    lines = b"".join(b"line %d\n" % number for number in range(20_000))
    (tmp_path / "lines").write_bytes(lines)
    haq(triple, "queue", "declare", "many")
    haq(triple, "pub", "many", "--lines", str(tmp_path / "lines"))
    assert haq(triple, "sub", "many", "--until-empty").stdout == lines


def test_a_named_producer_goes_on(triple: LocalCluster) -> None:
    haq(triple, "queue", "declare", "named")
    for expected in (1, 2):
        found = data(haq(triple, "pub", "named", "x", "--producer", "me", "-o", "json"))
        assert found["receipts"][0]["producer_seq"] == expected


def test_headers_key_and_id(triple: LocalCluster) -> None:
    haq(triple, "queue", "declare", "facts")
    haq(triple, "pub", "facts", "x", "--key", "k", "--id", "m-1", "--header", "a=b", "--header", "c==")
    (message,) = data(haq(triple, "queue", "peek", "facts", "-o", "json"))
    assert (message["id"], message["key"], message["headers"]) == ("m-1", "k", {"a": "b", "c": "="})


def test_queues_are_shown(triple: LocalCluster) -> None:
    haq(triple, "queue", "declare", "shown", "--lease", "12")
    haq(triple, "pub", "shown", "x")
    found = data(haq(triple, "queue", "show", "shown", "-o", "json"))
    assert found["ready"] == 1
    assert found["config"]["lease"] == 12
    assert found["leader"] in {0, 1, 2}
    assert found["group"] >= 1
    assert "shown" in {queue["name"] for queue in data(haq(triple, "queue", "ls", "-o", "json"))}
    assert b"shown" in haq(triple, "queue", "ls").stdout
    assert b"leader" in haq(triple, "queue", "show", "shown").stdout
    changed = data(haq(triple, "queue", "declare", "shown", "--lease", "13", "-o", "json"))
    assert changed["changes"] == {"lease": [12, 13]}
    haq(triple, "queue", "purge", "shown", "--yes")
    assert data(haq(triple, "queue", "show", "shown", "-o", "json"))["ready"] == 0
    haq(triple, "queue", "rm", "shown", "--yes")
    haq(triple, "queue", "show", "shown", code=exits.NOT_FOUND)


def test_bench_measures_a_running_cluster_and_leaves_nothing(triple: LocalCluster) -> None:
    before = data(haq(triple, "queue", "ls", "-o", "json"))
    found = data(haq(triple, "bench", "--count", "2050", "--producers", "3", "--rate", "4000", "-o", "json"))
    assert (found["url"], found["size"], found["producers"]) == (triple.url, 100, 3)
    assert [row["what"] for row in found["results"]] == ["publish", "end-to-end", "latency"]
    for row in found["results"]:
        assert row["messages"] == 2_050
        assert row["messages_per_s"] == pytest.approx(2_050 / row["seconds"])
        assert 0 < row["confirm_p50_ms"] <= row["confirm_p99_ms"] <= row["confirm_max_ms"]
    assert found["results"][2]["messages_per_s"] <= 4_000 * 1.01
    names = {queue["name"] for queue in data(haq(triple, "queue", "ls", "-o", "json"))}
    assert names == {queue["name"] for queue in before}


def test_bench_for_a_while(triple: LocalCluster) -> None:
    done = haq(triple, "bench", "--only", "publish", "--for", "300ms", "--batch", "1", "--size", "1024")
    assert b"1024 B, 1 at once" in done.stdout
    (row,) = [line.split() for line in done.stdout.splitlines() if line.startswith(b"publish")]
    assert float(row[2]) >= 0.3
    assert not done.stderr


def test_bench_starts_a_cluster_of_its_own_where_none_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HAQ_URL", raising=False)
    command = [sys.executable, "-m", "haqactor", "bench", "--count", "500", "--rate", "2000", "-o", "json"]
    done = subprocess.run(
        command,
        capture_output=True,
        timeout=SECONDS_MAX,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == exits.OK, done.stderr.decode()
    found = data(done)
    assert found["url"] is None
    assert [row["messages"] for row in found["results"]] == [500, 500, 500]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("pub", "nowhere", "x"), exits.NOT_FOUND),
        (("sub", "nowhere", "--until-empty"), exits.NOT_FOUND),
        (("queue", "rm", "nowhere", "--yes"), exits.NOT_FOUND),
        (("queue", "declare", "a b"), exits.USAGE),
        (("queue", "ls", "--url", "http://127.0.0.1"), exits.USAGE),
        (("queue", "ls", "--url", "haq://127.0.0.1:9"), exits.NO_QUORUM),
        (("bench", "--url", "haq://127.0.0.1:9"), exits.NO_QUORUM),
        (("cluster", "kill", "7"), exits.NOT_FOUND),
        (("cluster", "start", "--nodes", "5"), exits.CONFLICT),
    ],
    ids=str,
)
def test_exit_codes(triple: LocalCluster, arguments: tuple[str, ...], code: int) -> None:
    done = haq(triple, *arguments, code=code)
    assert not done.stdout
    assert len(done.stderr.splitlines()) == 1


def test_status_kill_and_restart(triple: LocalCluster) -> None:
    found = data(haq(triple, "cluster", "status", "-o", "json"))
    assert found["healthy"]
    assert sorted(group for node in found["nodes"] for group in node["leads"]) == list(range(17))
    haq(triple, "queue", "declare", "survives")
    haq(triple, "pub", "survives", "before")
    leader = data(haq(triple, "queue", "show", "survives", "-o", "json"))["leader"]
    haq(triple, "cluster", "kill", str(leader))
    down = data(haq(triple, "cluster", "status", "-o", "json", code=exits.UNHEALTHY))
    assert [node["up"] for node in down["nodes"]] == [node != leader for node in range(3)]
    haq(triple, "cluster", "kill", str(leader), code=exits.CONFLICT)
    haq(triple, "pub", "survives", "after")
    haq(triple, "cluster", "restart", str(leader))
    assert haq(triple, "cluster", "start").stdout.decode().strip() == triple.url
    assert haq(triple, "sub", "survives", "--until-empty").stdout == b"before\nafter\n"


def test_without_a_majority(tmp_path: Path) -> None:
    import trio

    from haqactor.cli.launcher import free_base_port

    async def start() -> LocalCluster:
        cluster = LocalCluster.found(tmp_path / "c", 3, await free_base_port(3))
        await cluster.start()
        return cluster

    cluster = trio.run(start)
    try:
        haq(cluster, "queue", "declare", "orders")
        cluster.kill(0)
        cluster.kill(1)
        done = haq(cluster, "pub", "orders", "x", code=exits.NO_QUORUM)
        assert b"no_quorum" in done.stderr
    finally:
        cluster.stop()


def test_stop_and_start_again(tmp_path: Path) -> None:
    import trio

    from haqactor.cli.launcher import free_base_port

    base = trio.run(free_base_port, 3)
    directory = str(tmp_path / "c")
    cluster = LocalCluster.found(directory, 3, base)
    assert haq(cluster, "cluster", "start").stdout.decode().strip() == cluster.url
    try:
        haq(cluster, "queue", "declare", "kept")
        haq(cluster, "pub", "kept", "over the night")
        stopped = haq(cluster, "cluster", "stop").stderr.decode()
        assert stopped.splitlines() == ["node 0 stopped", "node 1 stopped", "node 2 stopped"]
        haq(cluster, "cluster", "status", code=exits.UNHEALTHY)
        haq(cluster, "cluster", "start")
        assert haq(cluster, "sub", "kept", "--until-empty").stdout == b"over the night\n"
    finally:
        cluster.stop()
