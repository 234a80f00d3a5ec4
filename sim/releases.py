"""The releases of the program that simulated nodes run: this one, and one that is newer by a version of the
machine.

One rule: the newer one is this very code; only what it says that it knows differs. Its version has the rules
of the one before, and entries and snapshots that name it: whoever does not know it must refuse them.
"""

from typing import Final

from haqactor.machine.versions import KNOWN, Versions

OLDER: Final = KNOWN
NEWER: Final = Versions(KNOWN.oldest, KNOWN.newest + 1)
