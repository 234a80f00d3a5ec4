"""Programs that use haqactor, each run by a test."""
