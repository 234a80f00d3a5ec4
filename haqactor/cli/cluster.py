"""``haq cluster``: real nodes on this machine, for trying out, demonstrations and tests."""

import signal as signals

import click
import trio

from haqactor.cli import exits
from haqactor.cli.command import Group, dir_option, output_option
from haqactor.cli.launcher import LocalCluster
from haqactor.cli.output import print_json, print_table, say
from haqactor.errors import Conflict, NotFound


@click.group(
    "cluster",
    cls=Group,
    examples=("haq cluster start --nodes 3 --dir ./haq-data", "haq cluster kill 0 --dir ./haq-data"),
)
def group() -> None:
    """Start, look at, disturb and stop a cluster on this machine."""


@group.command(
    examples=(
        "haq cluster start --nodes 3 --dir ./haq-data",
        "export HAQ_URL=$(haq cluster start --dir ./haq-data --base-port 8420)",
    )
)
@dir_option
@click.option(
    "--nodes", type=click.IntRange(1, 99), default=None, help="How many nodes.  [default: 3, or as founded]"
)
@click.option(
    "--base-port",
    type=click.IntRange(1, 65_000),
    default=None,
    help="Node 0's port; node k has base + 10 k.  [default: 7420]",
)
@click.option(
    "--wait", "seconds", type=float, default=30.0, show_default=True, help="Seconds until it must confirm."
)
def start(directory: str, nodes: int | None, base_port: int | None, seconds: float) -> None:
    """Start the nodes, return when the cluster can confirm, print its URL. In a directory that ran before: a
    restart. A node that ended by then is named with the end of its log, and the exit code is 10.
    """
    try:
        cluster = LocalCluster.load(directory)
    except NotFound:
        cluster = LocalCluster.found(directory, nodes or 3, base_port or 7420)
    else:
        if nodes is not None and nodes != len(cluster.nodes):
            raise Conflict(
                f"the cluster in {cluster.directory} was founded with {len(cluster.nodes)} nodes, not {nodes}"
            )
        if base_port is not None and not cluster.nodes[0].listen.endswith(f":{base_port}"):
            first = cluster.nodes[0].listen
            raise Conflict(
                f"the cluster in {cluster.directory} was founded at {first}, not at port {base_port}"
            )
    started = trio.run(cluster.start, seconds)
    which = ", ".join(map(str, started)) or "none, all ran already"
    ended = [node for node in cluster.nodes if node.process() is None]
    say(f"{len(cluster.nodes) - len(ended)} of {len(cluster.nodes)} nodes confirm; started: {which}")
    for node in ended:
        say(f"node {node.number} ended; the end of {node.log}:\n{node.last_log_lines()}")
    click.echo(cluster.url)
    if ended:
        raise click.exceptions.Exit(exits.UNHEALTHY)


@group.command(examples=("haq cluster status --dir ./haq-data", "haq cluster status -o json | jq .healthy"))
@dir_option
@output_option
def status(directory: str, output: str) -> None:
    """The nodes, what they lead, and whether all is well (exit code 10 if not)."""
    from haqactor.cli.health import cluster_health

    health = trio.run(cluster_health, LocalCluster.load(directory))
    if output == "json":
        print_json(health)
    else:
        rows = [
            (
                node.node,
                node.listen,
                node.up,
                node.member,
                "-" if node.pid is None else str(node.pid),
                " ".join(map(str, node.leads)) or "-",
                node.memory_mb,
            )
            for node in health.nodes
        ]
        print_table(["node", "listens", "up", "member", "pid", "leads groups", "memory MB"], rows)
    if not health.healthy:
        say(f"unhealthy: {health.problem}")
        raise click.exceptions.Exit(exits.UNHEALTHY)


@group.command(
    examples=("haq cluster stop --dir ./haq-data", "HAQ_DATA_DIR=./haq-data haq cluster stop --wait 5")
)
@dir_option
@click.option(
    "--wait", "seconds", type=float, default=15.0, show_default=True, help="Seconds to drain before SIGKILL."
)
def stop(directory: str, seconds: float) -> None:
    """Stop the nodes: drain, close; what has not ended in time is killed."""
    ended = LocalCluster.load(directory).stop(seconds)
    for number, how in ended.items():
        say(f"node {number} {how}")
    if not ended:
        say("no node was running")


@group.command(
    examples=("haq cluster kill 0 --dir ./haq-data", "haq cluster kill 2 --signal 15 --dir ./haq-data")
)
@click.argument("node", type=click.IntRange(0))
@dir_option
@click.option(
    "--signal",
    "number",
    type=click.IntRange(1, 64),
    default=9,
    show_default=True,
    help="Which signal to send.",
)
def kill(node: int, directory: str, number: int) -> None:
    """Send a signal to node NODE; 9, the default, is a crash."""
    pid = LocalCluster.load(directory).kill(node, number)
    say(f"sent {signals.Signals(number).name} to node {node} (pid {pid})")


@group.command(
    examples=("haq cluster restart 0 --dir ./haq-data", "HAQ_DATA_DIR=./haq-data haq cluster restart 2")
)
@click.argument("node", type=click.IntRange(0))
@dir_option
def restart(node: int, directory: str) -> None:
    """Start node NODE (after stopping it, if it runs); returns once it listens, and waits for no quorum."""
    process = trio.run(LocalCluster.load(directory).restart, node)
    say(f"node {node} listens (pid {process.pid})")
