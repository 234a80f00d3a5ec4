"""The command line `haq`: one module a noun; whatever it does it does through the library's public face.

One rule: data goes to standard output, everything else to standard error, and the exit code tells what kind
of failure it was.
"""

from haqactor.cli.app import main

__all__ = ["main"]
