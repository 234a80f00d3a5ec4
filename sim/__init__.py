"""The deterministic simulator: seeded twins of the environment that replay a whole cluster in one process.

Empty until the simulator is built; nothing outside this room may reach past the environment meanwhile."""
