"""A real PostgreSQL server for the tests, started from the machine's own binaries as an ordinary user."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PASSWORD = "pa:ss/w@rd %41&x=1"


@dataclass(frozen=True)
class Server:
    """Where the server listens; its user ``owner`` needs the password."""

    port: int
    folder: Path

    @property
    def uri(self) -> str:
        return f"postgresql://owner@127.0.0.1:{self.port}/postgres"


def _binaries() -> Path | None:
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    # Debian keeps the server's binaries off the path, one folder per version.
    folders = [p for p in Path("/usr/lib/postgresql").glob("*/bin") if (p / "initdb").is_file()]
    return max(folders, key=lambda p: int(p.parent.name), default=None)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A server with password authentication; skips where the machine has none."""
    binaries = _binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL server on this machine: install the package postgresql")
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    user: dict = {}
    if os.geteuid() == 0:  # the server refuses to run as root
        names = {entry.pw_name for entry in pwd.getpwall()}
        owner = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
        os.chown(folder, owner.pw_uid, owner.pw_gid)
        user = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
    (folder / "password").write_text(PASSWORD)
    (folder / "password").chmod(0o644)
    subprocess.run(
        [
            binaries / "initdb", "-D", folder / "data", "-U", "owner", "--auth=scram-sha-256",
            f"--pwfile={folder / 'password'}", "--no-sync", "-E", "UTF8", "--locale=C",
        ],
        check=True, capture_output=True, cwd=folder, **user,
    )  # fmt: skip
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [binaries / "postgres", "-D", folder / "data", "-k", folder, "-p", str(port)]
    options = ["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "log_statement=all"]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([*command, *options], stdout=log, stderr=log, cwd=folder, **user)
    try:
        for _ in range(300):
            if server.poll() is not None:
                pytest.fail(f"PostgreSQL did not start: {(folder / 'log').read_text()}")
            ready = subprocess.run([binaries / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)], check=False)
            if ready.returncode == 0:
                break
            time.sleep(0.1)
        yield Server(port, folder)
    finally:
        server.terminate()
        server.wait(20)
        shutil.rmtree(folder, ignore_errors=True)
