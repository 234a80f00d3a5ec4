"""Raft as a pure core: messages and ticks in, messages and entries to persist out."""
