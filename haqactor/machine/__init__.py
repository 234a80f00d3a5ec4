"""The replicated queue machine: a pure, deterministic function of the log."""
