"""What ``make bench-peers-install`` installs is pinned, and services stay down."""

from pathlib import Path

import pytest

from benchmarks.peers import install, places
from benchmarks.peers.install import LOCK, block


def test_the_lock_names_no_index_and_hashes_all() -> None:
    lines = [line for line in LOCK.read_text().splitlines() if line and not line.lstrip().startswith("#")]
    assert not [line for line in lines if "://" in line or line.startswith("-")]
    pins = [number for number, line in enumerate(lines) if not line.startswith(" ")]
    for number in pins:
        assert "==" in lines[number]
        assert lines[number + 1].lstrip().startswith("--hash=sha256:")
    text = (places.HERE / "requirements.in").read_text()
    asked = [line for line in text.splitlines() if not line.startswith("#")]
    pinned = {lines[number].split("==")[0] for number in pins}
    assert {line.split("[")[0] for line in asked} <= pinned


def test_a_block_is_one_package() -> None:
    first = "a==1 \\\n    --hash=sha256:1 \\\n    --hash=sha256:2\n    # via b\n"
    second = "b==2 \\\n    --hash=sha256:3\n"
    assert block(f"# lock\n{first}{second}", "a") == first
    assert block(f"# lock\n{first}{second}", "b") == second


def test_services_are_kept_down_while_packages_are_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    units, policy = tmp_path / "units", tmp_path / "policy"
    units.mkdir()
    (units / "own.service").write_text("[Unit]\n")
    monkeypatch.setattr(install, "_UNITS", units)
    monkeypatch.setattr(install, "_POLICY", policy)
    with install.kept_down(["other.service", "own.service"]):
        assert policy.read_text().endswith("exit 101\n")
        assert policy.stat().st_mode & 0o111
    assert not policy.exists()
    assert (units / "other.service").readlink() == Path("/dev/null")
    assert (units / "own.service").read_text() == "[Unit]\n"


def test_a_policy_of_the_machine_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = tmp_path / "policy"
    policy.write_text("#!/bin/sh\nexit 0\n")
    monkeypatch.setattr(install, "_UNITS", tmp_path / "none")
    monkeypatch.setattr(install, "_POLICY", policy)
    with install.kept_down(["other.service"]):
        pass
    assert policy.read_text() == "#!/bin/sh\nexit 0\n"
