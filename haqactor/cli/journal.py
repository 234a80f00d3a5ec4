"""``haq journal``: look into a node's journal while the node is down; nothing is ever written."""

import click

from haqactor.cli.command import Group, output_option


@click.group(
    "journal",
    cls=Group,
    examples=("haq journal verify ./haq-data/n0/data", "haq journal dump ./haq-data/n0/data -o json | head"),
)
def group() -> None:
    """Check and read a node's journal."""


@group.command(examples=("haq journal verify ./haq-data/n0/data", "haq journal verify ./n0 -o json"))
@click.argument("directory", type=click.Path(file_okay=False))
@output_option
def verify(directory: str, output: str) -> None:
    """Read every block of DIRECTORY and check it (exit code 1 if damaged)."""


@group.command(examples=("haq journal dump ./haq-data/n0/data", "haq journal dump ./n0 -o json | head"))
@click.argument("directory", type=click.Path(file_okay=False))
@output_option
def dump(directory: str, output: str) -> None:
    """Print every block and entry of DIRECTORY."""
