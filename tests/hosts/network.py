"""Hosts on a network, as network namespaces of this machine. Linux and root only."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from random import SystemRandom

import pytest

_LINK = "eth0"
_networks = count(1)


@dataclass(frozen=True)
class Host:
    """A host: its namespace, and the folder that is its disk."""

    name: str
    disk: Path

    def run(self, *command: str, **settings: str) -> subprocess.Popen[str]:
        """A process there, with a home and a scratch folder of that host."""
        own = {"HOME": str(self.disk), "ACTIVECAMPAIGN_SCRATCH": str(self.disk / "scratch")}
        return subprocess.Popen(
            ["ip", "netns", "exec", self.name, sys.executable, "-u", *command],
            env={**os.environ, **own, **settings},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def cut(self) -> None:
        """Cut its network: nothing that it sends arrives any more, not even a good-bye."""
        _ip("-n", self.name, "link", "set", _LINK, "down")

    def mend(self) -> None:
        """Connect it again."""
        _ip("-n", self.name, "link", "set", _LINK, "up")


def why_none() -> str | None:
    """Why there can be no namespaces here; None if there can."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return "only root can make network namespaces"
    if not shutil.which("ip"):
        return "there is no `ip netns` (Debian: iproute2)"
    name = f"ac{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if made.returncode:
        return f"network namespaces cannot be made: {made.stderr.strip()}"
    _ip("netns", "delete", name)
    return None


@contextmanager
def network(folder: Path, size: int) -> Iterator[tuple[str, list[Host]]]:
    """An address of this machine, and hosts that reach it, for the block.

    Skips the test, with the reason, where there can be none.
    """
    if reason := why_none():
        pytest.skip(reason)
    number = SystemRandom().randrange(1, 255)
    # the kernel removes namespaces, and what is in them, some time after it was told to
    prefix, address = f"ac{os.getpid()}n{next(_networks)}", f"10.77.{number}.1"
    bridge = f"{prefix}b"
    with ExitStack() as stack:
        _ip("link", "add", bridge, "type", "bridge")
        stack.callback(_ip, "link", "delete", bridge)
        _ip("address", "add", f"{address}/24", "dev", bridge)
        _ip("link", "set", bridge, "up")
        hosts = []
        for each in range(1, size + 1):
            host = Host(f"{prefix}h{each}", folder / f"host{each}")
            host.disk.mkdir()
            _ip("netns", "add", host.name)
            stack.callback(_remove, host.name)
            cable = f"{prefix}v{each}"
            _ip("link", "add", cable, "type", "veth", "peer", "name", _LINK, "netns", host.name)
            _ip("link", "set", cable, "master", bridge, "up")
            _ip("-n", host.name, "address", "add", f"10.77.{number}.{each + 1}/24", "dev", _LINK)
            _ip("-n", host.name, "link", "set", "lo", "up")
            host.mend()
            hosts.append(host)
        yield address, hosts


def _remove(name: str) -> None:
    """End what runs in a namespace, and remove it; its end of the cable goes with it."""
    found = subprocess.run(
        ["ip", "netns", "pids", name], capture_output=True, text=True, check=True
    )
    for pid in found.stdout.split():
        os.kill(int(pid), 9)
    _ip("netns", "delete", name)


def _ip(*args: str) -> None:
    subprocess.run(["ip", *args], check=True, capture_output=True)
