"""Raft as a pure core: messages and ticks in, messages and entries to persist out.

The caller's duties, beside the order of a ``Ready`` (``haqactor.raft.ready``):

1. One ``RaftCore`` a group, one task that calls it. After every call: while ``has_ready()``, take
   ``ready()`` and perform it.
2. Call ``tick`` when ``next_deadline_ns`` is reached; any call may move it.
3. Beat every ``heartbeat_ns`` with ``haqactor.raft.heartbeat.Heartbeats``, and at once when a core
   ``wants_beat``. Rows are made (``row``, ``answer_row``) in the step in which they leave.
4. ``boot`` rises with every start of the node, from 1. ``suspect`` is handed in after a start that cut the
   last block, *and after every later start* until a Ready said ``cured`` and its batch is durable: keep a
   mark.
5. ``unreachable(peer)`` when a link breaks; ``suspect_leader`` when it was reset and then refused, or when
   the leader's node answers with a new boot.
6. A snapshot offer is stepped like any message; where ``accepts_snapshot`` says so, receive it, write its
   durable marker, call ``snapshot_installed``. The sender ends with ``install_sent``. Take own snapshots
   only of what is applied, and call ``compacted`` when they are durable.
7. InvariantViolation stops the node.

What is where: ``core`` (the calls), ``view`` (what may be asked), ``state`` (all that a replica knows),
``follower``, ``candidate`` and ``leader`` (the roles), ``log``, ``progress``, ``quorum``, ``membership``,
``readindex``, ``transfer``, ``recovery`` and ``hello`` (suspects), ``heartbeat`` (between nodes).
"""
