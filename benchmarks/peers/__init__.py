"""The peers that haqactor is measured against: real clusters of three nodes on loopback, replicated, each
with the fastest client at hand and with the Python client that people use.

One rule: a peer gets its own best way: its best batching, its best connection, its documented settings; where
two readings of a figure are possible, it gets the one that favours it.

``make bench-peers-install`` installs them, ``python -m benchmarks.peers`` measures them, and
``benchmarks.peers.rows.measure`` is for whoever wants one row of one of them beside something else.
"""
