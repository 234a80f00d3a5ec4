"""Programs of users under test: each with a bug that a simulated world finds, and without it."""
