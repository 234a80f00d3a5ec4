"""Settings: what is wrong is refused by name, with advice, before anything starts."""

from dataclasses import fields
from typing import Any

import pytest

from haqactor.config import Limits, NodeConfig, QueueConfig, check_name, gossip_address, peer_address
from haqactor.errors import ConfigError, InvalidArgument


@pytest.mark.parametrize("name", ["orders", "a.b-c_d:e", "x" * 255, "9"])
def test_names_that_are_fine(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", "x" * 256, "a b", "ä", "-x", "a/b", 5, None])
def test_names_that_are_not(name: Any) -> None:
    with pytest.raises(InvalidArgument):
        check_name(name)


def test_a_queue_config_survives_its_settings() -> None:
    config = QueueConfig(
        "orders", lease=1.5, max_attempts=3, dead_letter="dead", backoff=0.25, backoff_max=9.0
    )
    assert QueueConfig.from_settings("orders", config.settings()) == config


@pytest.mark.parametrize(
    "settings",
    [
        {"lease": 0},
        {"lease": "30"},
        {"lease": float("nan")},
        {"max_attempts": -1},
        {"max_attempts": True},
        {"max_attempts": 1.5},
        {"dead_letter": "q"},
        {"dead_letter": "no good"},
        {"backoff": -1},
        {"max_messages": -1},
        {"max_bytes": 1 << 48},
        {"max_bytes": 1.5},
        {"max_bytes": True},
    ],
)
def test_impossible_queue_settings(settings: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        QueueConfig("q", **settings)


def test_an_unknown_setting_is_refused_with_the_nearest_known_one() -> None:
    with pytest.raises(ConfigError, match="did you mean listen"):
        NodeConfig.from_toml('data_dir = "x"\nlisen = "127.0.0.1:1"')
    with pytest.raises(ConfigError, match=r"did you mean limits\.segment_bytes"):
        NodeConfig.from_toml('data_dir = "x"\n[limits]\nsegment_byte = 5')


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "data_dir is missing"),
        ("data_dir = 5", "must be a path"),
        ('data_dir = "x"\nlisten = "nowhere"', "host:port"),
        ('data_dir = "x"\nlisten = "0.0.0.0:7420"', "insecure = true"),
        ('data_dir = "x"\nlisten = "127.0.0.1:1"\nbootstrap = ["127.0.0.1:2"]', "own address"),
        ('data_dir = "x"\nbootstrap = ["127.0.0.1:2"]', "must listen"),
        ('data_dir = "x"\nlisten = "127.0.0.1:1"\nbootstrap = ["127.0.0.1:1", "127.0.0.1:1"]', "twice"),
        ('data_dir = "x"\nseeds = ["127.0.0.1:2"]', "must listen"),
        ('data_dir = "x"\nlisten = "127.0.0.1:1"\nseeds = ["127.0.0.1:1"]', "this node itself"),
        ('data_dir = "x"\nlisten = "127.0.0.1:1"\nseeds = ["127.0.0.1:2", "127.0.0.1:2"]', "twice"),
        ('data_dir = "x"\nlisten = "127.0.0.1:1"\nseeds = ["nowhere"]', "host:port"),
        ('data_dir = "x"\nlisten = "127.0.0.1:65534"', "ports above"),
        ('data_dir = "x"\nlisten = "127.0.0.1:1"\nadvertise = "n1:65534"', "ports above"),
        ('data_dir = "x"\nlisten = "127.0.0.1:1"\nseeds = ["127.0.0.1:65535"]', "ports above"),
        ('data_dir = "x"\nseed = ["127.0.0.1:2"]', "did you mean seeds"),
        ('data_dir = "x"\n[limits]\nprobe_interval = 60.0', "rejoin_max"),
        ('data_dir = "x"\ngroups = 0', "groups"),
        ('data_dir = "x"\nsync = "maybe"', "sync"),
        ('data_dir = "x"\nlog_level = "loud"', "log_level"),
        ('data_dir = "x"\n[limits]\nsegment_bytes = 100', "at least 4096"),
        ('data_dir = "x"\n[limits]\nmessage_bytes_max = 33_554_433', "at most 33554432"),
        ('data_dir = "x"\n[limits]\ncatch_up_bytes_s = 1_000_000', "at least 1048576"),
        ('data_dir = "x"\n[limits]\nheartbeat = 5.0', "election_min"),
        ('data_dir = "x"\n[limits]\nqueue_messages_max = 0', "above 0"),
        ('data_dir = "x"\n[limits]\ngroup_bytes_max = -1', "must be a whole number"),
        ('data_dir = "x"\n[limits]\nproducer_sessions_max = 1e5', r"producer_sessions_max is 100000\.0"),
        ('data_dir = "x"\n[limits]\nreserve_messages = 4096.0', "must be a whole number above 0"),
        ('data_dir = "x"\n[limits]\nproducer_sessions_max = 1_000_000_000_000_000_000_000', "and below"),
        ('data_dir = "x"\n[limits]\ngrace = inf', "must be a number above 0 and below"),
        ('data_dir = "x"\n[limits]\nlease = 1', "unknown setting"),
        ('data_dir = "x"\nlimits = 5', "must be a table"),
        ("data_dir = ", "not a TOML file"),
    ],
)
def test_impossible_files(text: str, part: str) -> None:
    with pytest.raises(ConfigError, match=part):
        NodeConfig.from_toml(text)


def test_a_good_file() -> None:
    addresses = '["127.0.0.1:7420", "127.0.0.1:7430"]'
    config = NodeConfig.from_toml(
        f'data_dir = "d"\nlisten = "127.0.0.1:7420"\nbootstrap = {addresses}\n[limits]\ngrace = 1.0'
    )
    assert config.limits == Limits(grace=1.0)
    assert list(config.bootstrap) == ["127.0.0.1:7420", "127.0.0.1:7430"]


def test_limits_that_may_be_none() -> None:
    limits = "queue_bytes_max = 0\ngroup_messages_max = 0\ngroup_bytes_max = 0"
    assert NodeConfig.from_toml(f'data_dir = "d"\n[limits]\n{limits}').limits == Limits()


def test_peers_meet_on_the_next_port() -> None:
    assert peer_address("127.0.0.1:7420") == "127.0.0.1:7421"
    assert peer_address("[::1]:7420") == "[::1]:7421"


def test_the_ports_above_must_be_there() -> None:
    assert gossip_address("n1:65533") == "n1:65535"
    for address in ("n1:65534", "n1:65535", "n1:65536", "n1"):
        with pytest.raises(ConfigError):
            gossip_address(address)


@pytest.mark.parametrize("name", [item.name for item in fields(Limits) if type(item.default) is int])
def test_a_count_is_no_fraction(name: str) -> None:
    """Leaders log some of them, and no replica takes anything but a whole number from the log."""
    given: dict[str, Any] = {name: float(getattr(Limits(), name))}
    with pytest.raises(ConfigError, match=rf"limits\.{name} is .* must be a whole number"):
        Limits(**given)
