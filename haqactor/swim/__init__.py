"""SWIM with Lifeguard as a pure core: datagrams, replies and ticks in; datagrams, exchanges and news out.

One rule: gossip says whom to try, never who votes (S1 of the traps): nothing here is asked for a quorum, an
owner or a placement.

The caller's duties:

1. One ``SwimCore`` a node, one task that calls it; ``now_ns`` is one monotonic clock and never goes back.
2. After every call perform ``take()``; call ``tick`` when ``next_ns()`` is reached. Any call may move it.
3. ``me`` begins with ``first_incarnation(boot, probe)``, ``boot`` rising with every start of this disk (S2).
4. Addresses are those of clients; the caller maps one to its gossip port for datagrams and streams alike.
   ``known`` holds the founding list and, where addresses may change, what was last heard of each member: one
   that comes back when all others have moved finds nobody else.
5. Each ``Exchange`` ends with ``exchanged`` or ``exchange_failed``. The passive side answers a stream's one
   request with what ``asked`` returns, or closes where that raises.
6. ``stalled`` when the loop stood still; who vouches for a node whose loop stands still hides its failure
   (S6), so no other thread may answer in its place.
7. Packets are checked for damage and for their cluster, not for their author: keep strangers off the port.

What is where: ``core`` (the calls), ``state``, ``member`` (the merge rule), ``table``, ``rumours`` (what is
believed), ``probing`` and ``relays`` (is it there?), ``suspicion``, ``awareness``, ``broadcast``,
``gossiping`` (datagrams and tables that spread), ``rejoining``, ``messages`` and ``packet`` (the bytes).
"""
