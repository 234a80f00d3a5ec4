"""Errors keep their code, their fields and their kinship with trio's."""

import pytest
import trio

from haqactor.client.errors import Closed, ConnectionLost, PublishUnknown
from haqactor.errors import BY_CODE, Error, NoQuorum, OutcomeUnknown, from_wire


def test_trio_kinship_and_codes() -> None:
    assert issubclass(Closed, trio.ClosedResourceError)
    assert issubclass(ConnectionLost, trio.BrokenResourceError)
    assert BY_CODE["closed"] is Closed
    assert BY_CODE["connection_lost"] is ConnectionLost
    assert BY_CODE["outcome_unknown"] is OutcomeUnknown
    assert all(issubclass(kind, Error) and kind.code == code for code, kind in BY_CODE.items())


def test_from_the_wire() -> None:
    error = from_wire("no_quorum", "group 3", {"reason": "damaged"})
    assert isinstance(error, NoQuorum)
    assert error.reason == "damaged"
    assert isinstance(from_wire("closed", "x", {}), trio.ClosedResourceError)


async def test_an_unknown_outcome_can_be_retried() -> None:
    async def retry() -> str:
        await trio.lowlevel.checkpoint()
        return "receipt"

    error = PublishUnknown("sent", queue="q", producer_seq=7, retry=retry)
    assert (error.code, error.queue, error.producer_seq) == ("outcome_unknown", "q", 7)
    assert await error.retry() == "receipt"
    with pytest.raises(OutcomeUnknown):
        raise error
