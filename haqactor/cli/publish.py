"""``haq pub``: messages from the command line, a file, or standard input, each confirmed before the command
ends.
"""

import os
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import click
import trio

from haqactor.cli.command import Command, output_option, url_option
from haqactor.cli.output import print_json, progress, say
from haqactor.errors import Error

if TYPE_CHECKING:
    from haqactor.client.producer import Receipt

_AT_ONCE: Final = 8192  # lines handed over at a time; the client packs and pipelines them


@click.command(
    cls=Command,
    examples=(
        "haq pub orders 'hello'",
        "seq 1000000 | haq pub numbers --lines -",
        "haq pub orders --file ./order.json --key cust-7 --header kind=new",
    ),
)
@click.argument("queue")
@click.argument("body", required=False)
@click.option(
    "--file",
    "file",
    type=click.Path(allow_dash=True, dir_okay=False),
    help="A file (- for standard input) as one message.",
)
@click.option(
    "--lines",
    type=click.Path(allow_dash=True, dir_okay=False),
    help="A file (-: standard input), each line a message.",
)
@click.option("--key", help="The messages' key.")
@click.option(
    "--header", "headers", multiple=True, metavar="NAME=VALUE", help="A header; may be given several times."
)
@click.option("--id", "message_id", help="The message's id.")
@click.option("--producer", help="A named session: its numbers go on where its last run ended.")
@url_option
@output_option
def pub(
    queue: str, body: str | None, file: str | None, lines: str | None, url: str, output: str, **more: Any
) -> None:
    """Publish BODY (- reads standard input), a file, or the lines of a file to QUEUE; returns when all are
    confirmed.
    """
    if sum(source is not None for source in (body, file, lines)) != 1:
        raise click.UsageError("give one of BODY, --file and --lines")
    if lines is not None and more["message_id"] is not None:
        raise click.UsageError("--id names one message; --lines publishes many")
    more["headers"] = _headers(more["headers"])
    bodies = _lines(lines) if lines is not None else iter([_one(body, file)])
    receipts = trio.run(_publish, url, queue, bodies, more, lines is not None)
    if output == "json":
        fields = ("seq", "producer_seq", "duplicate")
        print_json(
            {
                "queue": queue,
                "published": len(receipts),
                "receipts": [{name: getattr(receipt, name) for name in fields} for receipt in receipts],
            }
        )
    elif len(receipts) == 1:
        click.echo(f"published 1 message to {queue}, seq {receipts[0].seq}")
    else:
        place = f", seq {receipts[0].seq} to {receipts[-1].seq}" if receipts else ""
        click.echo(f"published {len(receipts)} messages to {queue}{place}")


def _one(body: str | None, file: str | None) -> bytes:
    if file is not None and file != "-":
        return Path(file).read_bytes()
    if body is None or body == "-":
        return sys.stdin.buffer.read()
    return body.encode()


def _lines(name: str) -> Iterator[bytes]:
    if name == "-":
        yield from _stripped(sys.stdin.buffer)
        return
    with Path(name).open("rb") as file:
        yield from _stripped(file)


def _stripped(file: BinaryIO) -> Iterator[bytes]:
    for line in file:
        yield line.removesuffix(b"\n")


def _headers(pairs: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise click.UsageError(f"--header {pair!r} is not NAME=VALUE")
        found[name] = value
    return found


async def _publish(
    url: str, queue: str, bodies: Iterator[bytes], more: dict[str, Any], many: bool
) -> "list[Receipt]":
    from haqactor.client.producer import Outgoing
    from haqactor.runtime.remote import connect

    facts: dict[str, Any] = {"key": more["key"], "headers": more["headers"], "message_id": more["message_id"]}
    facts = {name: value for name, value in facts.items() if value}
    async with connect(url) as broker:
        if not many and more["producer"] is None:
            return [await broker.publish(queue, next(bodies), **facts)]
        name = more["producer"] or f"haq-pub.{os.getpid()}.{time.time_ns()}"
        receipts: list[Receipt] = []
        async with broker.producer(name) as producer:
            with progress(f"publishing to {queue}") as step:
                while chunk := list(islice(bodies, _AT_ONCE)):
                    outgoing: list[bytes | Outgoing] = [
                        Outgoing(body, **facts) if facts else body for body in chunk
                    ]
                    try:
                        receipts += await producer.publish_many(queue, outgoing)
                    except Error as error:
                        known = len(receipts) + len(getattr(error, "receipts", ()))
                        say(f"haq: {known} messages are known to be stored")
                        raise
                    step(len(chunk))
    return receipts
