"""``haq journal``: look into a node's journal while the node is down; nothing is ever written."""

import click

from haqactor.cli.command import Group


@click.group(
    "journal",
    cls=Group,
    examples=("haq journal verify ./haq-data/n0/data", "haq journal dump ./haq-data/n0/data -o json | head"),
)
def group() -> None:
    """Check and read a node's journal."""
