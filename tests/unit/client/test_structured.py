"""One error leaves our blocks as itself; groups are left alone."""

import pytest
import trio

from haqactor.client.structured import OpenNursery


async def fail(error: BaseException) -> None:
    raise error  # at once: both tasks fail in the same turn of the loop


async def run(*errors: BaseException, body: BaseException | None = None) -> None:
    async with OpenNursery() as nursery:
        for error in errors:
            nursery.start_soon(fail, error)
        if body is not None:
            raise body


async def test_a_single_error_is_itself() -> None:
    first = ValueError("task")
    with pytest.raises(ValueError, match="task") as caught:
        await run(first)
    assert caught.value is first
    cause = KeyError("why")
    second = ValueError("body")
    second.__cause__ = cause
    with pytest.raises(ValueError, match="body") as caught:
        await run(body=second)
    assert caught.value is second
    assert second.__cause__ is cause


async def test_a_group_of_the_body_stays_a_group() -> None:
    group = ExceptionGroup("mine", [ValueError("a")])
    with pytest.raises(ExceptionGroup) as caught:
        await run(body=group)
    assert caught.value.exceptions == group.exceptions


async def test_several_errors_stay_together() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        await run(ValueError("a"), KeyError("b"))
    assert len(caught.value.exceptions) == 2


async def test_cancellation_passes() -> None:
    with trio.CancelScope() as scope:
        async with OpenNursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            scope.cancel()
    assert scope.cancelled_caught


async def test_a_group_of_one_of_the_body_is_the_same_object() -> None:
    group = ExceptionGroup("mine", [ValueError("a")])

    async def body() -> None:
        async with OpenNursery() as nursery:
            nursery.start_soon(trio.sleep_forever)  # ended by the failure: its cancellation is taken out
            raise group

    with pytest.raises(ExceptionGroup) as caught:
        await body()
    assert caught.value is group

    async def both() -> None:
        async with OpenNursery() as nursery:
            nursery.start_soon(fail, KeyError("task"))
            await trio.lowlevel.cancel_shielded_checkpoint()
            raise group

    with pytest.raises(ExceptionGroup) as caught:
        await both()
    assert any(inner is group for inner in caught.value.exceptions)
    assert any(isinstance(inner, KeyError) for inner in caught.value.exceptions)


async def test_a_group_with_a_cancellation_in_it_is_taken_apart() -> None:
    async def body() -> None:
        async with OpenNursery() as nursery:
            nursery.cancel_scope.cancel()
            async with trio.open_nursery() as inner:
                inner.start_soon(fail, ValueError("mine"))
                await trio.sleep_forever()

    with pytest.raises(ExceptionGroup) as caught:
        await body()
    assert [type(inner) for inner in caught.value.exceptions] == [ValueError]
