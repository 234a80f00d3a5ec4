"""The command line `haq`: one module a noun, no logic of its own."""
