"""``haq`` itself: the nouns and the commands without a noun, put together.

One rule: nothing here does work; a command's module is the only place that knows how.
"""

import click
from click.shell_completion import ShellComplete, get_completion_class

from haqactor.cli import bench, cluster, group, journal, node, publish, queue, sim, subscribe
from haqactor.cli.command import Command, Group


@click.group(
    cls=Group,
    examples=(
        "haq cluster start --nodes 3 --dir ./haq-data",
        "haq pub orders 'hello' && haq sub orders --until-empty",
    ),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(package_name="haqactor", prog_name="haq")
def cli() -> None:
    """A highly available message queue: run nodes, look at queues, publish and consume.

    Exit codes: 0 ok, 1 failed, 2 usage, 3 not found, 4 conflict, 5 unknown outcome, 6 no quorum, 7 not
    allowed, 10 unhealthy, 130 interrupted.
    """


@click.command(
    cls=Command,
    examples=(
        "haq completion bash > ~/.local/share/bash-completion/completions/haq",
        "haq completion zsh > ~/.zfunc/_haq",
    ),
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print a shell's completion script for haq."""
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"no completion for {shell}")
    # The base class's source(): bash's own would first run bash to ask its version.
    click.echo(ShellComplete.source(kind(cli, {}, "haq", "_HAQ_COMPLETE")))


for command in (
    cluster.group,
    node.group,
    queue.group,
    group.group,
    journal.group,
    sim.group,
    publish.pub,
    subscribe.sub,
    bench.bench,
    completion,
):
    cli.add_command(command)


def main(arguments: list[str] | None = None) -> None:
    """The entry point of ``haq`` and ``python -m haqactor``; exits the process."""
    cli.main(args=arguments, prog_name="haq")
