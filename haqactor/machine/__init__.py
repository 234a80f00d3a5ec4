"""The replicated machines and the leader's dispatcher: pure, deterministic, sans-IO.

One rule: what a replica knows is a function of its group's log alone; what only the leader knows (credit,
leases) never enters it.

- ``commands``: entry headers ``[version, T_ns, [command, ...]]``; ``effects``: what an apply did;
  ``actions``: what the dispatcher wants done.
- ``machine.GroupMachine``: the queues and producer windows of a data group. ``directory.DirectoryMachine``:
  group 0. Both: ``apply(index, term, header, body_bytes) -> Applied``, ``digest()``, ``snapshot_chunks()``,
  ``restore(chunks)``, ``live_entries()``.
- ``dispatcher.Dispatcher``: made by a leader once its no-op has applied, thrown away with the term.
- ``versions``: by which rules entries are applied, and how a group goes on to the next.
- ``timekeeper.LoggedTime``: the T that a leader puts into its entries.
"""
