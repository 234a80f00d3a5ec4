"""All targets by name.

One rule: a decoder without a target here is not finished. A new one is one ``Target`` in a tuple.
"""

from typing import Final

from tests.fuzz import clients, directory, gossip, machines, storage, streams
from tests.fuzz.target import Target

TARGETS: Final[dict[str, Target]] = {
    target.name: target
    for target in (
        *streams.TARGETS,
        *machines.TARGETS,
        *clients.TARGETS,
        *gossip.TARGETS,
        *storage.TARGETS,
        *directory.TARGETS,
    )
}
