"""What the system does with a connection on which nothing comes through, in a network of our own."""

import subprocess
import sys

import pytest

from tests.chaos.processes import ROOT

SCRIPT = """
import sys, time
import trio
from haqactor.env import StreamReset
from haqactor.runtime.real.network import RealNetwork
from tests.chaos.namespaces import enter, set_loopback

if not enter().network:
    sys.exit("not allowed")


async def main():
    network = RealNetwork()
    listener = await network.listen("127.0.0.1:7420")
    ends = {}

    async def wait(name, stream):
        began = time.monotonic()
        try:
            await stream.receive_some()
        except StreamReset:
            ends[name] = time.monotonic() - began

    streams, far = {}, []
    for name in ("sends", "is silent", "is patient"):
        streams[name] = await network.dial("127.0.0.1:7420")
        far.append(await listener.accept())
    for name in ("sends", "is silent"):
        streams[name].give_up_after(1.0)
    async with trio.open_nursery() as nursery:
        for name, stream in streams.items():
            nursery.start_soon(wait, name, stream)
        await trio.sleep(0.1)
        set_loopback(up=False)
        await streams["sends"].send_all(b"x")
        await streams["is patient"].send_all(b"x")
        with trio.move_on_after(8):
            while len(ends) < 2:
                await trio.sleep(0.05)
        nursery.cancel_scope.cancel()
    print(ends)
    assert set(ends) == {"sends", "is silent"}, ends
    assert 0.9 < ends["sends"] < 3.0, ends


trio.run(main)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such option")
def test_a_stream_that_gives_up_breaks_though_nothing_is_heard() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    if "not allowed" in done.stderr:
        pytest.skip("no namespaces are allowed here")
    assert done.returncode == 0, done.stdout + done.stderr
