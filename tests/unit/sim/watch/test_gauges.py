"""Readings of what nodes hold, each with the bound that holds for it."""

from types import SimpleNamespace
from typing import Any, cast

from haqactor.config import Limits
from haqactor.ids import GroupId, Index, Term
from haqactor.nodes.mailbox import Mailbox
from haqactor.nodes.writes import Write
from haqactor.sim.watch.gauges import MAILBOX_SPARE, readings


def test_what_the_journal_reports_is_bounded_by_what_was_written() -> None:
    """After a disk that stood still for seconds all of it comes at once: seed 811243 of profile swarm, and
    nothing was wrong."""
    box = Mailbox[Any](4, 1 << 20)
    for at in range(70):
        box.put(Write(Term(1), Index(at), None))
    for _ in range(5):
        box.put("notice")
    actor = SimpleNamespace(mailbox=box)
    limits = Limits(mailbox_batches_max=4)
    context = SimpleNamespace(limits=limits, groups={GroupId(1): actor})
    found = next(iter(readings(cast(Any, None), cast(Any, None), cast(Any, context))))
    assert found == ("mailbox items", 5, 4 + MAILBOX_SPARE)
