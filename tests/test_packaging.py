"""What is shipped: the written list of packages is the tree, and a wheel holds nothing but ``haqactor/``."""

import ast
import importlib
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import haqactor

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("journal", "nodes", "sim")


def packages_of_the_tree() -> set[str]:
    found: set[str] = set()
    for top, name in [("haqactor", "haqactor"), *((room, f"haqactor.{room}") for room in ROOMS)]:
        for path in (ROOT / top).rglob("__init__.py"):
            if not any(parent.is_symlink() for parent in path.parents):
                found.add(".".join((name, *path.parent.relative_to(ROOT / top).parts)))
    return found


def settings() -> dict[str, object]:
    table: dict[str, object] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    return table


def test_package_list_is_the_tree() -> None:
    listed = settings()["packages"]
    assert isinstance(listed, list)
    assert listed == sorted(packages_of_the_tree())


def test_every_folder_with_modules_is_a_package() -> None:
    for top in ("haqactor", *ROOMS):
        for path in (ROOT / top).rglob("*.py"):
            assert (path.parent / "__init__.py").exists(), f"{path.parent} has no __init__.py"


@pytest.mark.parametrize("room", ROOMS)
def test_symlinks(room: str) -> None:
    link = ROOT / "haqactor" / room
    assert link.is_symlink()
    assert link.readlink() == Path("..") / room
    module = importlib.import_module(f"haqactor.{room}")
    assert module.__name__ == f"haqactor.{room}"


def test_rooms_are_never_imported_bare() -> None:
    faults: list[str] = []
    for top in ("haqactor", *ROOMS, "tests", "benchmarks", "examples"):
        for path in (ROOT / top).rglob("*.py"):
            if path.is_relative_to(ROOT / "benchmarks" / "out"):
                continue  # the peers' own environment, where it is installed
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names: list[str] = []
                if isinstance(node, ast.Import):
                    names = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom):
                    names = [node.module or ""]
                faults += [f"{path}: {name}" for name in names if name.split(".")[0] in ROOMS]
    assert not faults


def test_lock_names_no_index_and_hashes_all() -> None:
    text = (ROOT / "requirements.lock").read_text()
    lines = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    assert not [line for line in lines if "://" in line or line.startswith("-")]
    pins = [number for number, line in enumerate(lines) if not line.startswith(" ")]
    assert pins
    for number in pins:
        assert "==" in lines[number]
        assert lines[number + 1].lstrip().startswith("--hash=sha256:")


def test_public_face_resolves() -> None:
    for name in dir(haqactor):
        assert getattr(haqactor, name) is not None
    assert set(haqactor.__all__) <= set(dir(haqactor))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = getattr(haqactor, "noth" + "ing")


@pytest.mark.slow
def test_wheel_holds_only_the_library(tmp_path: Path) -> None:
    """Built from a copy, so that no build folder is left in the tree."""
    source = tmp_path / "source"
    listing = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(listing, check=True, capture_output=True, text=True)
    for name in listed.stdout.split("\0"):
        kept = ROOT / name
        if name and kept.exists():  # a file deleted but not yet committed is still listed
            target = source / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if kept.is_symlink():
                target.symlink_to(kept.readlink())
            else:
                target.write_bytes(kept.read_bytes())
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    done = subprocess.run(
        [*build, "-w", str(tmp_path), str(source)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"haqactor"}
    shipped = {name for name in names if name.endswith(".py")}
    for package in packages_of_the_tree():
        assert package.replace(".", "/") + "/__init__.py" in shipped
    assert "haqactor/py.typed" in names
    for name in sorted(shipped):  # planted bugs are the simulator's, and stay behind
        with zipfile.ZipFile(wheel) as archive:
            text = archive.read(name).decode()
        assert not re.search(r"\.bug\(\s*\"", text), name
