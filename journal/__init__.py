"""Durable bytes: one journal a node, shared by all its groups."""
