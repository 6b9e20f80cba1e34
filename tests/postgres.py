"""A real PostgreSQL for a test: a cluster of its own in a temporary folder, on a socket there, gone afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


def _program(name: str) -> str | None:
    found = shutil.which(name)
    return found or next((str(p) for p in sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))), None)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a new, empty PostgreSQL database; skips where PostgreSQL is not installed."""
    initdb, server = _program("initdb"), _program("pg_ctl")
    if not initdb or not server:
        pytest.skip("PostgreSQL is not installed: no initdb and pg_ctl")
    user = None
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        try:
            user = pwd.getpwnam("postgres").pw_name
        except KeyError:
            pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        data = folder / "data"

        def run(*command: str) -> None:
            subprocess.run(
                command, check=True, user=user, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )

        run(initdb, "--auth=trust", "--username=tester", "--no-sync", f"--pgdata={data}")
        options = f"-c listen_addresses='' -c unix_socket_directories='{folder}' -c fsync=off"
        run(server, f"--pgdata={data}", "--wait", "--log=" + str(folder / "log"), f"--options={options}", "start")
        try:
            yield f"postgresql:///postgres?host={folder}&user=tester"
        finally:
            run(server, f"--pgdata={data}", "--wait", "--mode=immediate", "stop")
