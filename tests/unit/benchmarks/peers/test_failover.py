"""What a client's stream of single publishes tells."""

import trio
import trio.testing

from benchmarks.peers.failover import Stream


def test_lines_are_counted_and_the_result_is_kept() -> None:
    stream = Stream()
    for line in ("1 2", "3 5", '{"confirmed": 2}'):
        stream.take(line)
    assert (stream.confirmed, stream.begun_ns, stream.confirmed_ns) == (2, 3, 5)
    assert stream.rest == '{"confirmed": 2}'


async def test_lines_may_come_in_pieces() -> None:
    stream = Stream()
    sending, receiving = trio.testing.memory_stream_one_way_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stream.read, receiving)
        for piece in (b"10 2", b"0\n30 4", b"0\n"):
            await sending.send_all(piece)
            await trio.testing.wait_all_tasks_blocked()
        await sending.aclose()
    assert (stream.confirmed, stream.begun_ns, stream.confirmed_ns) == (2, 30, 40)


async def test_what_began_before_the_kill_does_not_count(autojump_clock: trio.testing.MockClock) -> None:
    stream = Stream()
    found: list[int] = []

    async def wait() -> None:
        found.append(await stream.wait_confirm_of_publish_after(100))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await trio.sleep(1)
        stream.take("99 120")
        await trio.sleep(1)
        assert found == []
        stream.take("121 130")
    assert found == [130]


async def test_waits_for_so_many_more(autojump_clock: trio.testing.MockClock) -> None:
    stream = Stream()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stream.wait_more, 2)
        await trio.sleep(1)
        stream.take("1 2")
        await trio.sleep(1)
        assert nursery.child_tasks
        stream.take("3 4")
