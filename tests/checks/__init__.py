"""Checks over the source text that no linter offers; ``tests/test_*.py`` run them over the tree."""
