"""The fast simulator of the pure cores: Raft, the queue machine and its dispatcher, without trio.

One rule: the cores are the production code, performed by the order of ``haqactor.raft.ready``; whatever
surrounds them here (links, disks, clocks, clients) is a few integers in one heap, so that a seed costs
milliseconds.
"""
