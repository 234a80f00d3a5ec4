"""``haq sub``: messages of a queue on standard output, acknowledged once they are written."""

import math
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import click
import trio

from haqactor.cli.command import Command, url_option
from haqactor.cli.output import print_json, progress, say
from haqactor.cli.queue import message_record
from haqactor.errors import LeaseLost

if TYPE_CHECKING:
    from haqactor.client.deliveries import Batch, Batches
    from haqactor.client.message import Message
    from haqactor.client.queue import Queue

_CREDIT: Final = 1000
_LOOK_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class _Wish:
    """What was asked for. ``limit``: None for no end."""

    limit: int | None
    until_empty: bool
    acknowledge: bool
    json: bool


@click.command(
    cls=Command,
    examples=("haq sub orders --until-empty", "haq sub orders --limit 10 -o json | jq .body"),
)
@click.argument("queue")
@click.option("--limit", type=click.IntRange(1), help="End after so many messages.")
@click.option("--until-empty", is_flag=True, help="End when nothing is ready, leased by others or deferred.")
@click.option(
    "--no-ack",
    is_flag=True,
    help="Show only: they go back uncharged. At most 1,000, unless --limit says otherwise.",
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["raw", "json"]),
    default="raw",
    show_default=True,
    help="Bodies, or records; a line each.",
)
@url_option
def sub(queue: str, limit: int | None, until_empty: bool, no_ack: bool, output: str, url: str) -> None:
    """Print the messages of QUEUE as they come, until --limit, --until-empty or Ctrl-C."""
    if limit is not None and until_empty:
        raise click.UsageError("give --limit or --until-empty, not both")
    if no_ack and limit is None:
        limit = _CREDIT
    wish = _Wish(limit, until_empty, not no_ack, output == "json")
    count = trio.run(_subscribe, url, queue, wish)
    say(f"{count} messages {'acknowledged' if wish.acknowledge else 'shown, not acknowledged'}")


async def _subscribe(url: str, name: str, wish: _Wish) -> int:
    from haqactor.runtime.remote import connect

    total = 0
    held: list[Batch] = []
    async with connect(url) as broker:
        queue = broker.queue(name)
        credit = _CREDIT if wish.limit is None or (wish.acknowledge and wish.limit > _CREDIT) else wish.limit
        with progress(f"messages of {name}", wish.limit) as step:
            async with queue.consume_batches(credit=credit) as batches:
                while wish.limit is None or total < wish.limit:
                    batch = await _next(batches, _LOOK_SECONDS if wish.until_empty else math.inf)
                    if batch is None:
                        if await _nothing_left(queue, sum(map(len, held))):
                            break
                        continue
                    wanted = batch.messages if wish.limit is None else batch.messages[: wish.limit - total]
                    _write(wanted, wish)
                    total += len(wanted)
                    step(len(wanted))
                    if wish.acknowledge:
                        await _acknowledge(batch, wanted)
                    else:
                        held.append(batch)
                for each in held:
                    await each.release()
    return total


async def _next(batches: "Batches", seconds: float) -> "Batch | None":
    with trio.move_on_after(seconds):
        return await batches.receive()
    return None


def _write(messages: "list[Message]", wish: _Wish) -> None:
    """On standard output and flushed: only then may they be acknowledged."""
    if wish.json:
        for message in messages:
            print_json(message_record(message), line=True)
    else:
        sys.stdout.buffer.write(b"".join([message.body + b"\n" for message in messages]))
    sys.stdout.flush()


async def _acknowledge(batch: "Batch", wanted: "list[Message]") -> None:
    whole = len(wanted) == len(batch.messages)
    try:
        await (batch.ack() if whole else batch.ack(wanted))
    except LeaseLost as error:
        say(f"haq: {error.code}: {error}; it will come again")
    if not whole:
        await batch.release(batch.messages[len(wanted) :])


async def _nothing_left(queue: "Queue", held: int) -> bool:
    """Whether the queue has nothing more for us: nothing ready, leased (beyond what we hold) or deferred."""
    info = await queue.info()
    return info.ready == 0 and info.leased <= held and info.delayed == 0
