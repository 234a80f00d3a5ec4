"""A consumer in a process of its own tells how much it acknowledged."""

import trio

from benchmarks.consumer import hear


async def test_numbers_are_added_up_wherever_they_are_cut() -> None:
    heard: list[int] = []
    command = ["/bin/sh", "-c", "printf '10\\n5'; sleep 0.05; printf '00\\n7\\n'"]
    process = await trio.lowlevel.open_process(command, stdout=-1)
    await hear(process, heard.append)
    await process.wait()
    assert sum(heard) == 517
