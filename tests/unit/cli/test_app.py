"""The command line's promises: help with examples, exit codes, no command that does not exist yet."""

import subprocess
import sys
from collections.abc import Iterator

import click
import pytest
import trio
from click.testing import CliRunner

from haqactor import errors
from haqactor.cli import exits
from haqactor.cli.app import cli
from haqactor.cli.command import verdict


def commands(
    command: click.Command = cli, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name, child in command.commands.items():
            yield from commands(child, (*path, name))


EVERY = list(commands())
SIM = (
    *("run", "swarm", "replay", "shrink", "diff", "profiles", "selfcheck", "mutants", "sweep", "bench"),
    "guarantees",
)


@pytest.mark.parametrize("path", [path for path, _ in EVERY], ids=" ".join)
def test_help_has_two_examples_and_the_environment(path: tuple[str, ...]) -> None:
    found = CliRunner().invoke(cli, [*path, "--help"])
    assert found.exit_code == exits.OK
    examples, _, environment = found.output.partition("Examples:")[2].partition("Environment:")
    assert examples.count("haq ") >= 2, found.output
    assert "NO_COLOR" in environment
    for parameter in dict(EVERY)[path].params:
        if isinstance(parameter.envvar, str):
            assert parameter.envvar in environment


def test_the_variables_of_the_documentation_are_all_read() -> None:
    read = {parameter.envvar for _, command in EVERY for parameter in command.params if parameter.envvar}
    assert read == {"HAQ_URL", "HAQ_DATA_DIR", "HAQ_CONFIG"}


def test_every_documented_command_is_there_and_no_other() -> None:
    leaves = {" ".join(path) for path, command in EVERY if not isinstance(command, click.Group)}
    assert leaves == {
        *(f"cluster {verb}" for verb in ("start", "status", "stop", "kill", "restart")),
        "node run",
        *(f"queue {verb}" for verb in ("ls", "declare", "show", "purge", "rm", "peek")),
        "pub",
        "sub",
        "bench",
        "group recover",
        "journal verify",
        "journal dump",
        *(f"sim {verb}" for verb in SIM),
        "completion",
    }


@pytest.mark.parametrize(
    "arguments", [["sim", "brew"], ["why", "q", "1"], ["doctor"], ["queue", "brew"], ["queue", "ls", "-x"]]
)
def test_what_does_not_exist_is_a_usage_error(arguments: list[str]) -> None:
    assert CliRunner().invoke(cli, arguments).exit_code == exits.USAGE


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["pub", "orders"], "give one of"),
        (["pub", "orders", "body", "--lines", "-"], "give one of"),
        (["pub", "orders", "--lines", "-", "--id", "x"], "--id names one message"),
        (["sub", "orders", "--limit", "1", "--until-empty"], "not both"),
        (["sub", "orders", "--limit", "0"], "--limit"),
        (["bench", "--count", "1", "--for", "1s"], "not both"),
        (["bench", "--size", "7"], "--size"),
        (["bench", "--only", "speed"], "--only"),
        (["bench", "--rate", "0"], "--rate"),
        (["cluster", "kill", "none"], "NODE"),
        (["cluster", "kill", "0", "--signal", "99"], "--signal"),
    ],
)
def test_arguments_that_contradict_each_other(arguments: list[str], why: str) -> None:
    found = CliRunner().invoke(cli, arguments)
    assert found.exit_code == exits.USAGE
    assert why in found.stderr
    assert not found.stdout


def test_a_directory_without_a_cluster(tmp_path: object) -> None:
    found = CliRunner().invoke(cli, ["cluster", "status", "--dir", str(tmp_path)])
    assert found.exit_code == exits.NOT_FOUND
    assert "haq cluster start" in found.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_names_the_program(shell: str) -> None:
    found = CliRunner().invoke(cli, ["completion", shell])
    assert found.exit_code == exits.OK
    assert "_HAQ_COMPLETE" in found.stdout


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.Error("x"), 1),
        (errors.InvalidArgument("x"), 2),
        (errors.ConfigError("x"), 2),
        (errors.NotFound("x"), 3),
        (errors.Conflict("x"), 4),
        (errors.SequenceConflict("x"), 4),
        (errors.OutcomeUnknown("x"), 5),
        (errors.NoQuorum("x"), 6),
        (errors.Unauthorized("x"), 7),
        (errors.DataDamaged("x"), 1),
        (errors.StorageFailed("x"), 1),
        (OSError("x"), 1),
    ],
)
def test_exit_code_of_each_error(error: Exception, code: int) -> None:
    for wrapped in (error, ExceptionGroup("one", [ExceptionGroup("inner", [error])])):
        found = verdict(wrapped)
        assert found is not None
        assert found[1] == code
        assert "x" in found[0]


def test_an_interrupt_is_130_and_a_bug_keeps_its_traceback() -> None:
    assert verdict(KeyboardInterrupt()) == ("", exits.INTERRUPTED)
    group = BaseExceptionGroup("", [KeyboardInterrupt(), ValueError()])
    assert verdict(group) == ("", exits.INTERRUPTED)
    assert verdict(ValueError("a bug")) is None
    assert verdict(ExceptionGroup("", [errors.NotFound("x"), errors.Conflict("y")])) is None


def test_an_error_of_a_command_is_one_line_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise errors.NoQuorum

    monkeypatch.setattr(trio, "run", fail)
    found = CliRunner().invoke(cli, ["queue", "purge", "orders", "--yes"])
    assert found.exit_code == exits.NO_QUORUM
    assert found.stderr == "haq: no_quorum: no majority of replicas answers\n"


def test_as_a_module() -> None:
    found = subprocess.run(
        [sys.executable, "-m", "haqactor", "doctor"], capture_output=True, text=True, check=False
    )
    assert found.returncode == exits.USAGE
    assert "No such command 'doctor'" in found.stderr
