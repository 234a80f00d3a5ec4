"""The deterministic simulator: whole clusters of the real node code on a virtual clock, network and disk, in
one process, from one seed.

``world`` has the time, ``host`` a machine with one trio run (``_trio_compat`` drives it), ``network`` and
``disk`` the twins of the environment, ``cluster`` the nodes. ``run`` makes one run of a seed: ``profiles``
draw its faults, ``nemesis`` lets them happen, ``workload`` is what its clients do, ``observer`` tells
``checkers`` what the nodes do. ``cores`` is a second, faster simulator of the pure cores alone. ``shrink``,
``artefact`` and ``report`` are for what fails.

One rule: nothing but the seed decides anything, and nothing of the product is replaced but its Environment.
"""
