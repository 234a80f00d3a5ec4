"""``haq queue``: what queues there are and how they stand."""

import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click
import trio

from haqactor.cli.command import Group, output_option, url_option
from haqactor.cli.output import plain, print_json, print_table, say, text_of

if TYPE_CHECKING:
    from haqactor.client.broker import Broker

T = TypeVar("T")


def with_broker(url: str, work: "Callable[[Broker], Awaitable[T]]") -> T:
    """Connect, do ``work``, disconnect."""
    from haqactor.runtime.remote import connect

    async def run() -> T:
        async with connect(url) as broker:
            return await work(broker)

    return trio.run(run)


@click.group(
    "queue", cls=Group, examples=("haq queue declare orders --max-attempts 5", "haq queue ls -o json")
)
def group() -> None:
    """Declare, list, look into, empty and delete queues."""


@group.command(examples=("haq queue ls", "haq queue ls -o json | jq -r '.[].name'"))
@url_option
@output_option
def ls(url: str, output: str) -> None:
    """All queues."""
    infos = with_broker(url, lambda broker: broker.queues())
    if output == "json":
        print_json(infos)
        return
    columns = ("name", "ready", "leased", "delayed", "dead", "bytes", "consumers", "group", "leader")
    print_table(
        [*columns, "dead letter"],
        [[*(getattr(info, column) for column in columns), info.config.dead_letter] for info in infos],
    )


@group.command(
    examples=(
        "haq queue declare orders",
        "haq queue declare orders --lease 60 --max-attempts 5 --dead-letter orders.dead",
    )
)
@click.argument("name")
@click.option("--lease", type=float, help="Seconds a delivered message stays with its consumer.")
@click.option("--max-attempts", type=int, help="Failures until it is dead-lettered; 0: no limit.")
@click.option("--dead-letter", help="The queue for what failed too often.")
@click.option("--backoff", type=float, help="Seconds until a failed message comes again, doubling.")
@click.option("--backoff-max", type=float, help="At most this many seconds.")
@click.option("--max-messages", type=int, help="Messages that it may hold; 0: as many as the nodes allow.")
@click.option("--max-bytes", type=int, help="The same in bytes, as they are stored.")
@url_option
@output_option
def declare(name: str, url: str, output: str, **given: Any) -> None:
    """Create queue NAME, or change the given settings of the one that is there."""
    settings = {key: value for key, value in given.items() if value is not None}

    async def work(broker: "Broker") -> Any:
        queue = await broker.declare(name, **settings)
        return queue.created, queue.changes

    created, changes = with_broker(url, work)
    if output == "json":
        print_json({"queue": name, "created": created, "changes": changes})
    elif created:
        say(f"{name}: created")
    elif not changes:
        say(f"{name}: nothing to change")
    else:
        rows = [(setting, _shown(old), _shown(new)) for setting, (old, new) in plain(changes).items()]
        print_table(["setting", "was", "is"], rows, title=name)


def _shown(value: Any) -> str:
    return "-" if value is None else str(value)


@group.command(examples=("haq queue show orders", "haq queue show orders -o json | jq .leader"))
@click.argument("name")
@url_option
@output_option
def show(name: str, url: str, output: str) -> None:
    """Queue NAME as its leader sees it: counts, settings, its group and that group's leader."""
    info = with_broker(url, lambda broker: broker.queue(name).info())
    if output == "json":
        print_json({"name": name, **plain(info)})
        return
    values: dict[str, Any] = {"name": name, **plain(info)}
    values.update(values.pop("config", None) or {})
    print_table(
        ["what", "value"], [(key, "-" if value is None else str(value)) for key, value in values.items()]
    )


@group.command(examples=("haq queue purge orders --yes", "haq queue purge orders --url haq://127.0.0.1:7420"))
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@url_option
def purge(name: str, yes: bool, url: str) -> None:
    """Drop every message of queue NAME that is ready or deferred; leased ones stay."""
    _ask(yes, f"Drop all ready and deferred messages of {name}? They are gone for good.")
    dropped = with_broker(url, lambda broker: broker.queue(name).purge())
    say(f"{name}: {dropped} messages dropped")


@group.command(examples=("haq queue rm orders --yes", "haq queue rm orders --url haq://127.0.0.1:7420"))
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@url_option
def rm(name: str, yes: bool, url: str) -> None:
    """Delete queue NAME with all its messages."""
    _ask(yes, f"Delete queue {name} with all its messages? They are gone for good.")
    with_broker(url, lambda broker: broker.delete_queue(name))
    say(f"{name} deleted")


def _ask(yes: bool, question: str) -> None:
    if not yes and sys.stdin.isatty():
        click.confirm(question, abort=True, err=True)


@group.command(examples=("haq queue peek orders", "haq queue peek orders --limit 3 -o json"))
@click.argument("name")
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=10, show_default=True, help="How many at most."
)
@url_option
@output_option
def peek(name: str, limit: int, url: str, output: str) -> None:
    """The next messages of queue NAME, without leasing them."""
    messages = with_broker(url, lambda broker: broker.queue(name).peek(limit=limit))
    if output == "json":
        print_json([message_record(message) for message in messages])
        return
    rows = [
        (str(message.seq), message.id, message.key, message.attempt, _short(message.body))
        for message in messages
    ]
    print_table(["seq", "id", "key", "attempt", "body"], rows)


def _short(body: bytes, limit: int = 80) -> str:
    text = text_of(body[: limit * 4])
    return text if len(text) <= limit else text[: limit - 1] + "…"


def message_record(message: Any) -> dict[str, Any]:
    """A message as JSON shows it."""
    return {
        "id": message.id,
        "seq": message.seq,
        "key": message.key,
        "headers": plain(message.headers),
        "attempt": message.attempt,
        "redelivered": message.redelivered,
        "enqueued_at": plain(message.enqueued_at),
        "body": text_of(message.body),
    }
