"""Programs to read and run; each is executed by the tests."""
