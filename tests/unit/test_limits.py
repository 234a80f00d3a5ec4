"""Every bound of the configuration is one that the code holds to."""

import ast
from dataclasses import fields
from pathlib import Path

import pytest

from haqactor.config import Limits

ROOT = Path(__file__).resolve().parent.parent.parent
ENFORCED = {
    "message_bytes_max": ("nodes/publishing.py", "nodes/hello.py"),
    "connections_max": ("nodes/listener.py",),
    "connection_buffer_bytes": ("nodes/sessions.py", "nodes/proxy.py"),
    "mailbox_batches_max": ("nodes/group.py",),
    "mailbox_bytes_max": ("nodes/group.py",),
    "peer_group_window_bytes": ("nodes/assembly.py",),
    "peer_link_window_bytes": ("nodes/peers.py",),
    "catch_up_bytes_s": ("nodes/node.py",),
    "uncommitted_bytes_max": ("nodes/assembly.py",),
    "segment_bytes": ("nodes/node.py",),
    "compress_bytes_min": ("nodes/node.py",),
    "tail_cache_bytes": ("nodes/node.py", "nodes/assembly.py"),
    "snapshot_bytes": ("nodes/applier.py",),
    "snapshot_entries": ("nodes/applier.py",),
    "reserve_messages": ("haqactor/machine/dispatcher.py",),
    "grace": ("haqactor/machine/dispatcher.py",),
    "disk_slow": ("nodes/slowness.py", "nodes/balance.py", "nodes/assembly.py"),
    "actor_stall": ("nodes/stalled.py",),
    "producer_sessions_max": ("haqactor/machine/dispatcher.py",),
    "queue_messages_max": ("nodes/bounds.py",),
    "queue_bytes_max": ("nodes/bounds.py",),
    "group_messages_max": ("nodes/bounds.py",),
    "group_bytes_max": ("nodes/bounds.py",),
    "heartbeat": ("nodes/beats.py", "nodes/assembly.py"),
    "election_min": ("nodes/assembly.py",),
    "election_max": ("nodes/assembly.py",),
    "handshake": ("nodes/sessions.py", "nodes/peers.py", "nodes/node.py", "nodes/founding.py"),
    "probe_interval": ("nodes/gossip.py",),
    "rejoin_max": ("nodes/gossip.py",),
    "consumer_credit_messages": ("nodes/hello.py",),
    "consumer_credit_bytes": ("nodes/hello.py",),
}


def read_from_limits(path: Path) -> dict[str, bool]:
    """The attributes that a module reads from anything called ``limits``."""
    found: dict[str, bool] = {}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute):
            owner = node.value
            name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
            if name.endswith("limits"):
                found[node.attr] = True
    return found


def test_every_limit_is_accounted_for() -> None:
    assert sorted(ENFORCED) == sorted(item.name for item in fields(Limits))


@pytest.mark.parametrize("name", ENFORCED)
def test_it_is_read_where_it_is_enforced(name: str) -> None:
    for place in ENFORCED[name]:
        assert name in read_from_limits(ROOT / place), f"{place} does not read limits.{name}"
