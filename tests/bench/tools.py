"""What the bench compares with: found or installed, each by itself, so that one that cannot be had costs its row only.

Nothing outside `build/bench` is touched: Debian's packages are fetched through apt and unpacked, not installed, so no
service is started and root is not needed for more than apt's own locks.
"""

from __future__ import annotations

import functools
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from place import BUILD, PEERS_PYTHON, ROOT
from processes import NotMeasured, run

DEBIAN = BUILD / "debian"
INSTALL_S = 300.0

_PEERS = ("requests>=2.32,<3", "httpx>=0.28,<0.29", "dlt>=1.4,<2")


def found(program: str) -> Path:
    """A program by name: of the system, or unpacked by us. Raises NotMeasured."""
    unpacked = [DEBIAN / folder / program for folder in ("usr/sbin", "usr/bin")]
    newman = BUILD / "newman" / "node_modules" / ".bin" / "newman"
    places = [*unpacked, *([newman] if program == "newman" else [])]
    for place in places:
        if place.exists():
            return place
    if on_path := shutil.which(program):
        return Path(on_path)
    raise NotMeasured(f"{program} is not there (see what was said when it was installed)")


def install() -> dict[str, str]:
    """Get everything that is missing; gives what went wrong, by tool."""
    BUILD.mkdir(parents=True, exist_ok=True)
    wrong = {}
    for name, is_there, get in (
        ("nginx and wrk", _has("nginx", "wrk"), _get_debian),
        ("newman", _has("newman"), _get_newman),
        ("requests, httpx and dlt", _peers_work, _get_peers),
    ):
        if is_there():
            continue
        print(f"installing {name}…", flush=True)
        try:
            get()
        except (NotMeasured, OSError) as error:
            wrong[name] = str(error)
            print(f"  {name} cannot be installed: {error}", flush=True)
    return wrong


def _has(*programs: str) -> Callable[[], bool]:
    def check() -> bool:
        try:
            return all(found(program) for program in programs)
        except NotMeasured:
            return False

    return check


def _get_debian() -> None:
    debs = BUILD / "debs"
    (debs / "partial").mkdir(parents=True, exist_ok=True)
    run(["apt-get", "update", "-qq"], limit_s=INSTALL_S, may_fail=True)
    get = ["apt-get", "install", "--download-only", "--reinstall", "-qq", "-y", "--no-install-recommends"]
    run([*get, "-o", f"Dir::Cache::archives={debs}", "nginx", "wrk"], limit_s=INSTALL_S)
    for deb in sorted(debs.glob("*.deb")):
        run(["dpkg", "-x", deb, DEBIAN], limit_s=60)


def _get_newman() -> None:
    folder = BUILD / "newman"
    folder.mkdir(exist_ok=True)
    run(["npm", "install", "--no-audit", "--no-fund", "--prefix", folder, "newman@6"], limit_s=INSTALL_S)


def _peers_work() -> bool:
    return PEERS_PYTHON.exists() and _peers_import().code == 0


def _peers_import():  # type: ignore[no-untyped-def]  # noqa: ANN202
    return run([PEERS_PYTHON, "-c", "import requests, httpx, dlt"], limit_s=60, may_fail=True)


def _get_peers() -> None:
    run([sys.executable, "-m", "venv", BUILD / "peers"], limit_s=INSTALL_S)
    run([PEERS_PYTHON, "-m", "pip", "install", "-q", "--disable-pip-version-check", *_PEERS], limit_s=INSTALL_S)


# --- what stands in the report ---------------------------------------------------------------------


@functools.cache
def versions() -> dict[str, str]:
    """Of everything that was measured with."""
    return {
        "Python": sys.version.split()[0],
        "batchrunner": _first(_said(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"])),
        **{
            name: _python_version(sys.executable, name)
            for name in ("httpx", "httptools", "pyreqwest", "uvloop", "pandas", "msgspec")
        },
        "SQLite": _said([sys.executable, "-c", "import sqlite3; print(sqlite3.sqlite_version)"]),
        "nginx": _said_by("nginx", "-v").rpartition("/")[2],
        "wrk": _said_by("wrk", "-v").split("[")[0].removeprefix("wrk").strip(),
        "newman": _said_by("newman", "--version"),
        "curl": " ".join(_said_by("curl", "--version").split()[1:2]),
        **{f"{name} (peer)": _python_version(PEERS_PYTHON, name) for name in ("requests", "httpx", "dlt")},
    }


def libraries() -> dict[str, str]:
    """The environment in which unpacked programs find their libraries."""
    return {"LD_LIBRARY_PATH": str(DEBIAN / "usr/lib" / f"{os.uname().machine}-linux-gnu")}


def _said_by(program: str, *arguments: str) -> str:
    try:
        return _said([found(program), *arguments])
    except NotMeasured:
        return "not there"


def _said(command: list[object]) -> str:
    try:
        done = run(command, limit_s=60, may_fail=True, env=libraries())
    except (NotMeasured, OSError):
        return "not there"
    return _first(done.out or done.err)


def _first(text: str) -> str:
    return (text.strip().splitlines() or ["?"])[0]


def _python_version(python: object, package: str) -> str:
    return _said([python, "-c", f"from importlib.metadata import version as v; print(v({package!r}))"])
