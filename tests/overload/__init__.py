"""Overload on real processes: more than a cluster takes, for as long as one likes, and what it may cost.

One rule: what decides is measured from outside (memory, terms, what callers were told), never what a node
says of its own buffers. ``docs/operating/overload.md`` tells what is promised, and how to run it.
"""
