"""Chaos on real processes: a cluster, a relay between all that speak, faults from a seed, and the judgement.

One rule: what decides is data that can be read afterwards: a plan before the run, a history after it.
``docs/internals/chaos.md`` tells how to run it and how to read its picture.
"""
