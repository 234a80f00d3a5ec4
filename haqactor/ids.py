"""The vocabulary of identities: every number that names something has a type of its own.

One rule: an identity is never reused. A wiped disk gets a new ``NodeId``; a queue declared again gets a new
``QueueUid``."""

from typing import Final, NewType

NodeId = NewType("NodeId", int)
"""A member of the cluster, from 0; the founding nodes are numbered in the order of the ``bootstrap`` list."""
GroupId = NewType("GroupId", int)
"""A Raft group; 0 is the metadata group."""
Term = NewType("Term", int)
Index = NewType("Index", int)
"""A place in a group's log, from 1; 0 means before the first entry."""
QueueUid = NewType("QueueUid", int)
"""One incarnation of a queue: the index of the group-0 entry that created it."""
ConsumerId = NewType("ConsumerId", int)
"""A consumer within one client session, numbered by the client."""

NO_NODE: Final = NodeId(-1)
"""Nobody: no vote cast, no leader known."""
METADATA_GROUP: Final = GroupId(0)

SessionId = NewType("SessionId", bytes)
"""16 random bytes: one client session; it outlives its connections."""
ProducerId = NewType("ProducerId", bytes)
"""16 bytes: random for an anonymous producer, derived from its name for a named one."""
