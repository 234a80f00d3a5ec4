"""``haq node``: one node in the foreground, for systemd, containers and the launcher."""

import gc
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import click
import trio

from haqactor.cli.command import Group
from haqactor.config import NodeConfig
from haqactor.errors import ConfigError

_LEVELS: Final = ("debug", "info", "warning", "error")
_GARBAGE: Final = 20_000


@click.group(
    "node", cls=Group, examples=("haq node run --config ./haqactor.toml", "haq node run --data-dir ./n0")
)
def group() -> None:
    """Run one node."""


@group.command(
    examples=(
        "haq node run --config ./haqactor.toml",
        "haq node run --data-dir ./n0 --listen 127.0.0.1:7420",
    ),
)
@click.option(
    "--config",
    "file",
    envvar="HAQ_CONFIG",
    show_envvar=True,
    type=click.Path(dir_okay=False),
    help="A TOML file.",
)
@click.option(
    "--data-dir",
    envvar="HAQ_DATA_DIR",
    show_envvar=True,
    type=click.Path(file_okay=False),
    help="The node's directory.",
)
@click.option("--listen", help="The clients' address; peers meet on the next two ports.")
@click.option("--bootstrap", help="The clients' addresses of all founding nodes, with commas.")
@click.option("--seeds", help="The clients' addresses of some nodes of the cluster, with commas.")
@click.option("--log-level", type=click.Choice(_LEVELS), help="What is worth a line.")
@click.option(
    "--log-format",
    type=click.Choice(["auto", "console", "json"]),
    help="auto: console on a terminal, else JSON.",
)
def run(file: str | None, bootstrap: str | None, seeds: str | None, **given: str | None) -> None:
    """Run a node until SIGTERM or SIGINT, then drain it; a second signal ends it at once. Flags win over the
    file.
    """
    overrides: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    for name, text in (("bootstrap", bootstrap), ("seeds", seeds)):
        if text is not None:
            overrides[name] = [address.strip() for address in text.split(",") if address.strip()]
    config = read_config(file, overrides)
    from haqactor.runtime.real.descriptors import raise_descriptors_max

    raise_descriptors_max()
    trio.run(serve, config)


def read_config(file: str | None, overrides: Mapping[str, Any]) -> NodeConfig:
    """The file's settings with ``overrides`` on top. Raises ConfigError that names the file."""
    values: dict[str, Any] = {}
    if file is not None:
        import tomllib

        try:
            values = tomllib.loads(Path(file).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ConfigError(f"there is no file {file}") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{file} is not a TOML file: {error}") from None
    try:
        return NodeConfig.from_mapping({**values, **overrides})
    except ConfigError as error:
        raise ConfigError(
            f"{file}: {error}" if file is not None else f"{error} (give --config FILE or flags)"
        ) from None


async def serve(config: NodeConfig) -> None:
    """Run the node until the first signal, then leave it in order; the second one cancels that too."""
    from haqactor.runtime.embedded import open_node

    stopping = trio.Event()
    async with trio.open_nursery() as nursery:
        await nursery.start(_watch_signals, stopping, nursery.cancel_scope)
        async with open_node(config):
            _spare_the_loop()
            await stopping.wait()
        nursery.cancel_scope.cancel()


def _spare_the_loop() -> None:
    """What is loaded lives as long as the process: the collector need not walk it, which would hold the loop
    for tens of milliseconds, nor look as often as it does in a program that makes garbage in cycles."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GARBAGE, 20, 50)


async def _watch_signals(
    stopping: trio.Event,
    everything: trio.CancelScope,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as received:
        task_status.started()
        async for _number in received:
            if stopping.is_set():
                everything.cancel()
                return
            stopping.set()
