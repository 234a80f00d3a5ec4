"""One suite for each port of the environment; every twin, real or simulated, must pass the same tests."""
