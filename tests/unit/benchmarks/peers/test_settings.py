"""The settings that the peers' nodes get: loopback only, replicated, synced as their names say."""

from pathlib import Path

import pytest

from benchmarks.peers import nats, rabbitmq, redis
from benchmarks.peers.cluster import ports_from
from benchmarks.peers.processes import Server


def test_rabbitmq_knows_all_three_and_listens_on_loopback() -> None:
    text = rabbitmq.settings(5_000)
    assert "listeners.tcp.1 = 127.0.0.1:5000\n" in text
    assert text.count("cluster_formation.classic_config.nodes.") == 3
    assert "nodes.3 = rabbit2@localhost\n" in text


@pytest.mark.parametrize("always", [True, False])
def test_nats_syncs_as_its_name_says(always: bool) -> None:
    text = nats.settings(1, 4_001, [5_000, 5_001, 5_002], Path("/data"), always=always)
    assert "listen: 127.0.0.1:4001\n" in text
    assert "listen: 127.0.0.1:5001\n" in text
    assert text.count("nats-route://127.0.0.1:") == 3
    assert ("sync_interval: always" in text) == always


def test_a_redis_replica_follows_the_master() -> None:
    master, replica = redis.settings(6_000, None, "always"), redis.settings(6_001, 6_000, "everysec")
    assert "replicaof" not in master
    assert "appendfsync always\n" in master
    assert "replicaof 127.0.0.1 6000\n" in replica
    assert "appendfsync everysec\n" in replica
    assert all("bind 127.0.0.1\n" in text and "appendonly yes\n" in text for text in (master, replica))


def test_two_sentinels_have_to_agree() -> None:
    text = redis.sentinel_settings(7_000, 6_000)
    assert "sentinel monitor peers 127.0.0.1 6000 2\n" in text
    assert "bind 127.0.0.1\nport 7000\n" in text


def test_an_answer_of_redis_is_read_by_its_names() -> None:
    info = "$60\r\n# Replication\r\nrole:master\r\nslave0:ip=127.0.0.1,port=1,state=online\r\n"
    assert redis.fields(info) == {"role": "master", "slave0": "ip=127.0.0.1,port=1,state=online"}


def test_clients_begin_with_the_one_they_are_told() -> None:
    servers = [Server(number, 10 + number, Path(), []) for number in range(3)]
    assert ports_from(servers, 0) == "10,11,12"
    assert ports_from(servers, 2) == "12,10,11"
