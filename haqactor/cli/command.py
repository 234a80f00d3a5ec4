"""The shape every command shares: examples and environment in its help, errors as one line and an exit code.

One rule: a foreseeable failure never shows a traceback, and an unforeseen one always does.
"""

import os
import sys
from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from haqactor.cli import exits
from haqactor.cli.groups import leaves
from haqactor.env import DiskError, NetworkError
from haqactor.errors import Error

F = TypeVar("F", bound=Callable[..., Any])

DEFAULT_URL: Final = "haq://127.0.0.1:7420,127.0.0.1:7430,127.0.0.1:7440"
_ALWAYS: Final = (("NO_COLOR", "no colours in tables"),)


def _described(command: click.Command, formatter: click.HelpFormatter, examples: tuple[str, ...]) -> None:
    with formatter.section("Examples"):
        for example in examples:
            formatter.write_text(example)
    rows = [
        (parameter.envvar, f"stands behind {parameter.opts[-1]}")
        for parameter in command.params
        if isinstance(parameter.envvar, str)
    ]
    if not rows:
        rows = [
            ("HAQ_URL, HAQ_DATA_DIR, HAQ_CONFIG", "stand behind --url, --dir or --data-dir, and --config")
        ]
    with formatter.section("Environment"):
        formatter.write_dl([*rows, *_ALWAYS])


class Command(click.Command):
    """A command whose help ends with examples to copy and the environment variables it reads."""

    def __init__(self, *args: Any, examples: tuple[str, ...] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Examples, environment."""
        _described(self, formatter, self.examples)


class Group(click.Group):
    """A noun (or ``haq`` itself). Turns errors of the library into failures with their exit code."""

    command_class = Command

    def __init__(self, *args: Any, examples: tuple[str, ...] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Examples, environment."""
        _described(self, formatter, self.examples)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; see ``failure_of``."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit):
            raise
        except BrokenPipeError:
            _silence_stdout()
            raise click.exceptions.Exit(exits.FAILED) from None
        except (KeyboardInterrupt, click.Abort):
            raise click.exceptions.Exit(exits.INTERRUPTED) from None
        except (Exception, BaseExceptionGroup) as error:
            found = verdict(error)
            if found is None:
                raise
            message, code = found
            if message:
                click.echo(f"haq: {message}", err=True)
            raise click.exceptions.Exit(code) from None


def verdict(error: BaseException) -> tuple[str, int] | None:
    """What to tell the user about an error, and the exit code; None for an error that nobody foresaw."""
    errors = leaves(error)
    if any(isinstance(each, KeyboardInterrupt) for each in errors):
        return "", exits.INTERRUPTED
    if len(errors) != 1:
        return None
    error = errors[0]
    if isinstance(error, Error):
        return f"{error.code}: {error}", exits.exit_code(error)
    if isinstance(error, NetworkError | DiskError | OSError):
        return str(error), exits.FAILED
    return None


def _silence_stdout() -> None:
    """The reader went away: nothing more can be said there, also not by the interpreter's last flush."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def url_option(function: F) -> F:
    """``--url``: where the cluster is."""
    return click.option(
        "--url",
        envvar="HAQ_URL",
        show_envvar=True,
        default=DEFAULT_URL,
        show_default=True,
        help="Any nodes of the cluster.",
    )(function)


def dir_option(function: F) -> F:
    """``--dir``: a local cluster's directory."""
    return click.option(
        "--dir",
        "directory",
        envvar="HAQ_DATA_DIR",
        show_envvar=True,
        default="./haq-data",
        show_default=True,
        type=click.Path(file_okay=False),
        help="The local cluster's directory.",
    )(function)


def output_option(function: F) -> F:
    """``-o table|json``."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice(["table", "json"]),
        default="table",
        show_default=True,
        help="A table for people, JSON for programs.",
    )(function)
