"""A PostgreSQL server of a test's own, which it may stop: never the one that the machine runs."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.lakes import why_no_extensions

_OWNERS = ("postgres", "nobody")  # a server refuses to run as root
_SETTINGS = """
listen_addresses = '{host}'
port = {port}
unix_socket_directories = '{folder}'
lc_messages = 'C'
fsync = off
max_connections = 60
"""


@dataclass(frozen=True)
class Server:
    """A running server. password: of its user `postgres`, for whoever comes over the network."""

    folder: Path
    programs: Path
    host: str
    port: int
    password: str

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which libpq finds it."""
        return {
            "PGHOST": self.host,
            "PGPORT": str(self.port),
            "PGUSER": "postgres",
            "PGPASSWORD": self.password,
        }

    def start(self) -> None:
        self._control("start", "-l", str(self.folder / "log"))

    def stop(self, how: str = "fast") -> None:
        self._control("stop", "-m", how)

    def restart(self) -> None:
        self._control("restart", "-m", "fast", "-l", str(self.folder / "log"))

    def dump(self, database: str) -> str:
        """All that a database holds, as text."""
        command = [str(self.programs / "pg_dump"), "--inserts", database]
        environment = {**os.environ, **self.environment}
        return subprocess.run(
            command, env=environment, check=True, capture_output=True, text=True
        ).stdout

    def _control(self, *args: str) -> None:
        command = [str(self.programs / "pg_ctl"), "-w", "-D", str(self.folder / "data"), *args]
        _as_owner(command, self.folder, timeout=120)


@contextmanager
def private_server(
    *, host: str = "127.0.0.1", port: int = 0, password: str = "c4nary-of-postgres"
) -> Iterator[Server]:
    """A server for the block; port: 0 for any that is free.

    Skips the test, with the reason, where there can be none.
    """
    programs = _programs()
    if reason := why_no_extensions():
        pytest.skip(reason)
    folder = Path(tempfile.mkdtemp(prefix="postgres_"))  # pytest's own are closed to other users
    server = Server(folder, programs, host, port or _free_port(host), password)
    try:
        (folder / "password").write_text(password)
        for path in (folder, folder / "password"):
            if os.geteuid() == 0:
                os.chown(path, *_owner())
        made = ["-U", "postgres", "-A", "scram-sha-256", "--pwfile", str(folder / "password")]
        made += ["-E", "UTF8", "--locale=C", "--no-sync"]
        _as_owner([str(programs / "initdb"), "-D", str(folder / "data"), *made], folder)
        with (folder / "data" / "postgresql.conf").open("a") as file:
            file.write(_SETTINGS.format(host=host, port=server.port, folder=folder))
        with (folder / "data" / "pg_hba.conf").open("a") as file:
            file.write("host all all 10.0.0.0/8 scram-sha-256\n")
        server.start()
        yield server
    finally:
        if (folder / "data" / "postmaster.pid").exists():
            server.stop("immediate")
        shutil.rmtree(folder)


def _free_port(host: str) -> int:
    with socket.create_server((host, 0)) as free:
        return int(free.getsockname()[1])


def _programs() -> Path:
    """The folder with the server's programs."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)  # Debian's
    if found := shutil.which("initdb"):
        folders.append(Path(found).resolve().parent)
    for folder in folders:
        if (folder / "initdb").exists():
            return folder
    pytest.skip("PostgreSQL's initdb is not installed")


def _owner() -> tuple[int, int]:
    for name in _OWNERS:
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return user.pw_uid, user.pw_gid
    pytest.skip("there is no user but root to run a PostgreSQL server")


def _as_owner(command: list[str], folder: Path, timeout: float = 120) -> None:
    options: dict[str, Any] = {}
    if os.geteuid() == 0:
        uid, gid = _owner()
        options = {"user": uid, "group": gid, "extra_groups": []}
    with (folder / "control").open("a+") as said:
        code = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            timeout=timeout,
            check=False,
            **options,
        ).returncode
        said.seek(0)
        assert code == 0, said.read()
