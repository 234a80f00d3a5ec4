"""Fuzzing: every decoder of bytes that a peer, a client or a disk may have written.

One rule: a decoder takes what is valid and refuses all else with the errors that it documents, in bounded
time and memory. ``python -m tests.fuzz`` goes on for as long as one likes; ``test_fuzz`` is a short slice of
it."""
