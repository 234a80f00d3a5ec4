"""``make bench-peers-install``: the peers' servers from Debian's packages and PyPI, their Python clients in a
venv of their own, and our C programs.

One rule: nothing that it installs is left running, and nothing starts with the machine; what was there before
is not touched.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from benchmarks.peers import places

PACKAGES: Final[dict[str, tuple[str, ...]]] = {
    "rabbitmq-server": ("rabbitmq-server.service", "epmd.service", "epmd.socket"),
    "redis-server": ("redis-server.service",),
    "gcc": (),
    "libc6-dev": (),
}
"""Debian's packages, and the units of systemd that each would start."""

LOCK: Final = places.HERE / "requirements.lock"
_UNITS: Final = Path("/etc/systemd/system")
_POLICY: Final = Path("/usr/sbin/policy-rc.d")
_BUILDER: Final = "setuptools"
_SHOWN: Final = {"aio_pika": "aio-pika", "nats_py": "nats-py", "pysyncobj": "PySyncObj", "redis": "redis-py"}
_CFLAGS: Final = ("-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror")


def main() -> None:
    """Exit code 1 where something could not be installed; the rest is, all the same."""
    faults = [*_debian(), *_venv(), *compile_clients()]
    for name, version in versions().items():
        print(f"{name}: {version}")
    absent = places.missing(places.every_part())
    for fault in [*faults, *(f"missing: {part}" for part in absent)]:
        print(fault, file=sys.stderr)
    if not faults and not absent:
        print("all peers are installed: python -m benchmarks.peers")
    sys.exit(1 if faults or absent else 0)


def _debian() -> list[str]:
    wanted = [name for name in PACKAGES if not _installed(name)]
    if not wanted:
        return []
    command = ["apt-get", "install", "--yes", "--no-install-recommends", *wanted]
    if shutil.which("apt-get") is None:
        return [f"not a Debian: install {', '.join(wanted)} by hand, their services stopped"]
    if os.geteuid() != 0:
        return [f"needs root: {' '.join(command)} (then stop and disable their services)"]
    with kept_down([unit for name in wanted for unit in PACKAGES[name]]):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        if not _run(command, environment):
            _run(["apt-get", "update"], environment)
            _run(command, environment)
    return [f"apt-get could not install {name}" for name in wanted if not _installed(name)]


def _installed(package: str) -> bool:
    command = ["dpkg-query", "--show", "--showformat=${db:Status-Status}", package]
    if shutil.which("dpkg-query") is None:
        return False
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode == 0 and done.stdout == "installed"


@contextmanager
def kept_down(units: list[str]) -> Generator[None]:
    """Debian starts a service as its package is installed, and at each boot: mask them for systemd, and
    forbid it to the older scripts while it lasts."""
    if _UNITS.is_dir():
        for unit in units:
            mask = _UNITS / unit
            if not mask.exists() and not mask.is_symlink():
                mask.symlink_to("/dev/null")
                print(f"masked {mask} (to have it: systemctl unmask {unit})")
    ours = not _POLICY.exists()
    if ours:
        _POLICY.write_text("#!/bin/sh\nexit 101\n")
        _POLICY.chmod(0o755)
    try:
        yield
    finally:
        if ours:
            _POLICY.unlink(missing_ok=True)
        for service in (unit.removesuffix(".service") for unit in units):
            if Path(f"/etc/init.d/{service}").exists() and shutil.which("update-rc.d") is not None:
                _run(["update-rc.d", service, "disable"])


def block(lock: str, package: str) -> str:
    """What a lock file says of one package: its line and those that belong to it."""
    lines = lock.splitlines(keepends=True)
    begin = next(number for number, line in enumerate(lines) if line.startswith(f"{package}=="))
    end = begin + 1
    while end < len(lines) and lines[end].startswith(" "):
        end += 1
    return "".join(lines[begin:end])


def _venv() -> list[str]:
    """The interpreter that runs this makes it, from the lock alone."""
    places.PLACE.mkdir(parents=True, exist_ok=True)
    stamp = places.VENV / ".stamp"
    if stamp.exists() and stamp.read_bytes() == LOCK.read_bytes():
        return []
    shutil.rmtree(places.VENV, ignore_errors=True)
    pip = [str(places.python()), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if not _run([sys.executable, "-m", "venv", str(places.VENV)]):
        return ["could not make the peers' venv (Debian: python3-venv)"]
    builder = places.PLACE / "builder.txt"
    builder.write_text(block(LOCK.read_text(), _BUILDER))
    for what, more in ((builder, ()), (LOCK, ("--no-build-isolation", "--use-pep517"))):
        if not _run([*pip, "--require-hashes", *more, "-r", str(what)]):
            return [f"pip could not install what is in {what.relative_to(places.ROOT)}"]
    stamp.write_bytes(LOCK.read_bytes())
    return []


def compile_clients() -> list[str]:
    """Every C program anew; returns what went wrong."""
    compiler = shutil.which("gcc")
    if compiler is None:
        return ["no gcc: the C programs are not compiled"]
    places.BIN.mkdir(parents=True, exist_ok=True)
    faults: list[str] = []
    for name in places.CLIENTS:
        source, binary = places.SOURCES / f"{name}.c", places.client(name)
        if not _run([compiler, *_CFLAGS, "-o", str(binary), str(source)]):
            binary.unlink(missing_ok=True)
            faults.append(f"gcc could not compile {source.relative_to(places.ROOT)}")
    return faults


def versions() -> dict[str, str]:
    """What is there, by name; a server is asked itself."""
    found: dict[str, str] = {}
    sbin, redis = places.rabbitmq_sbin(), places.redis_server()
    if sbin is not None:
        found["RabbitMQ"] = sbin.parent.name.removeprefix("rabbitmq_server-")
    if redis is not None:
        found["Redis"] = _answer([str(redis), "--version"]).partition("v=")[2].partition(" ")[0]
    if places.nats_server().exists():
        found["NATS"] = _answer([str(places.nats_server()), "--version"]).rpartition("v")[2]
    for info in sorted(places.VENV.glob("lib/python3*/site-packages/*.dist-info")):
        name, _, version = info.name.removesuffix(".dist-info").rpartition("-")
        if name in _SHOWN:
            found[_SHOWN[name]] = version
    return found


def _answer(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout or done.stderr).strip().splitlines()[0] if done.returncode == 0 else "does not run"


def _run(command: list[str], environment: dict[str, str] | None = None) -> bool:
    print("+ " + " ".join(command), flush=True)
    return subprocess.run(command, env=environment, check=False).returncode == 0


if __name__ == "__main__":
    main()
