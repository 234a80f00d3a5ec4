"""What is seen of a run: calls, events of nodes, readings."""
