"""The configuration: defaults stand, contradictions do not."""

import pytest

from haqactor.errors import ConfigError
from haqactor.swim.config import SECOND_NS, SwimConfig


def test_defaults_stand() -> None:
    config = SwimConfig()
    assert config.probe_interval_ns == SECOND_NS
    assert config.packet_bytes_max == 1_400


@pytest.mark.parametrize(
    "wrong",
    [
        {"probe_timeout_ns": SECOND_NS},
        {"probe_timeout_ns": 0},
        {"rejoin_min_ns": 0},
        {"rejoin_min_ns": 60 * SECOND_NS},
        {"forget_ns": 60 * SECOND_NS},
        {"gossip_interval_ns": 0},
        {"push_pull_interval_ns": 0},
        {"suspicion_mult": 0},
        {"suspicion_max_mult": 0},
        {"gossip_nodes": 0},
        {"retransmit_mult": 0},
        {"members_max": 0},
        {"indirect_probes": -1},
        {"awareness_max": -1},
        {"packet_bytes_max": 500},
        {"packet_bytes_max": 70_000},
    ],
)
def test_contradictions(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError):
        SwimConfig(**wrong)
