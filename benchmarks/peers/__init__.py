"""The peers that haqactor is measured against: real clusters of three nodes on loopback, replicated, each
with the fastest client at hand and with the Python client that people use.

One rule: a peer gets its own best way: its best batching, its best connection, its documented settings;
where two readings of a figure are possible, it gets the one that favours it.

``make bench-peers-install`` installs them, ``python -m benchmarks.peers`` measures them, and
``benchmarks.peers.rows.measure`` is for whoever wants one row of one of them beside something else.

What the names mean:

- ``rabbitmq-quorum``: quorum queues of three members, fsync as it comes; publisher confirms,
  acknowledgements of a hundred at once. AMQP confirms no acknowledgement: the clock stops at the answer to
  what follows the last one on its channel.
- ``nats-r3``, ``nats-r3-always``: JetStream work queues of three replicas in files, synced every two
  minutes as it comes, or always. Batches are its own (fast ingest), ``_single`` has a confirm for each
  message; a push consumer acknowledges each, the clock stops when the last one's is answered. Stream and
  consumer are led by the server that the clients are connected to.
- ``redis-wait1-always``, ``redis-wait1-everysec``: streams with a consumer group, two replicas, WAIT 1
  behind each pipeline; what is acknowledged stays in the stream. Sentinels run only where a failover is
  measured; they take a second without an answer for a death.
- ``pysyncobj``: its ReplQueue with journal and dump file, which it does not fsync; a get removes at once.
  The load runs inside the leader, so its processor time is in that of the brokers; it gets a tenth of the
  messages, and no row with a million of them or with 64 KiB each, which would take it hours.
- ``aio-pika``, ``nats-py``, ``redis-py``: ``publish_await`` is a thousand tasks, each awaiting its own
  publish, ``consume_each`` one consumer that acknowledges message by message. redis-py gets pipelines of a
  thousand instead. NATS and Redis sync as they come, every now and then.

The figures are those of ``python -m benchmarks``, and: ``end_to_end_64KiB``; ``broker_cpu_s_per_1M``,
user and system time of the three processes for a million messages end to end; ``declare_1000_queues_s``
and ``rss_1000_queues_mb``, by how much a node grew.

Our clients in C (``clients/``) speak each protocol by themselves and share how they count, wait and
check.
"""
