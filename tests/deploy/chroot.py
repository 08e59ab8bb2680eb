"""The image without a container engine: its steps in a folder, its processes in a chroot."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shlex import join, quote

import pytest

from tests.deploy.files import ROOT, dockerfile, image_environment

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc")
LEFT_OUT = shutil.ignore_patterns("__pycache__", "target", "logs", ".env", ".user.yml")
BASE = sys.base_prefix  # of the Python that stands for the base image's
STEP_ENVIRONMENT = {"PATH": "/python:/usr/local/bin:/usr/bin:/bin", "HOME": "/root"}


@dataclass
class Image:
    """A folder in which the image's steps have been run."""

    root: Path
    workdir: str = "/"
    user: str = "0:0"
    arguments: dict[str, str] = field(default_factory=dict)
    running: list[subprocess.Popen[str]] = field(default_factory=list)

    def build(self) -> None:
        """Run the steps of the Dockerfile that leave something in the image."""
        (self.root / "python").mkdir(parents=True)
        (self.root / "python" / "python").symlink_to(Path(BASE) / "bin" / "python3")
        for name, text in dockerfile():
            if name == "WORKDIR":
                self.workdir = text
                self.at(text).mkdir(parents=True)
            elif name == "ARG":
                self.arguments |= dict([text.split("=", 1)])
            elif name == "COPY":
                *sources, target = text.split()
                for source in sources:
                    self._copy(ROOT / source, self.at(self.workdir) / target, into=len(sources) > 1)
            elif name == "RUN":
                given = {k: v for k, v in os.environ.items() if k.startswith(("PIP_", "SSL_"))}
                self.run(["sh", "-ec", text], {**given, **STEP_ENVIRONMENT, **self.arguments})
            elif name == "USER":
                self.user = text

    def at(self, path: str) -> Path:
        """Where a path of the image is."""
        return self.root / path.lstrip("/")

    def run(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """A step of the build, as root."""
        done = subprocess.run(
            self._entered(command, environment, writable=True),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]

    def start(self, command: Sequence[str], **settings: str) -> subprocess.Popen[str]:
        """A process of a container, as its user, who can write the volumes and /tmp alone."""
        environment = {**image_environment(), **settings}
        with (self.root.parent / f"{len(self.running)}.log").open("w") as log:
            process = subprocess.Popen(
                self._entered(command, environment, writable=False),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        self.running.append(process)
        return process

    def said(self) -> str:
        """The last that each process has said."""
        logs = sorted(self.root.parent.glob("*.log"))
        return "\n".join(f"{log.name}: {log.read_text()[-3000:]}" for log in logs)

    def stop(self) -> None:
        """Kill all processes."""
        for process in self.running:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def _copy(self, source: Path, target: Path, *, into: bool) -> None:
        if source.is_dir():
            shutil.copytree(source, target, ignore=LEFT_OUT)
            return
        target = target / source.name if into else target
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)

    def _entered(
        self, command: Sequence[str], environment: Mapping[str, str], *, writable: bool
    ) -> list[str]:
        """The command in a mount namespace of its own, with the image as its root."""
        others = [str(path) for path in Path("/opt").iterdir() if not self.at(str(path)).exists()]
        lines = [
            "mount --make-rprivate /",
            f"cd {quote(str(self.root))}",
            "mount --bind . .",
            "cd .",
        ]
        root = quote(str(self.root))
        for path in [*SYSTEM, BASE, *others]:
            if Path(path).exists():
                lines.append(f"mkdir -p {root}{quote(path)}")
                lines.append(f"mount --bind -o ro {quote(path)} {root}{quote(path)}")
        hosts = quote(str(self.root.parent / "hosts"))
        lines += [
            f"printf '127.0.0.1 localhost code postgres\\n' > {hosts}",
            f"mount --bind {hosts} {root}/etc/hosts",
            f"mkdir -p {root}/proc {root}/dev {root}/tmp",
            f"mount -t proc proc {root}/proc",
            f"mount --rbind /dev {root}/dev",
        ]
        if not writable:
            lines.append(f"mount -o remount,bind,ro {root}")
            for volume in ("data", "dagster"):
                lines.append(f"mount --bind {hosts}.{volume} {root}/{volume}")
            lines.append(f"mount -t tmpfs -o mode=1777 tmpfs {root}/tmp")
        variables = [f"{key}={value}" for key, value in environment.items()]
        inside = ["env", "-i", *variables, "sh", "-c", f'cd {self.workdir} && exec "$@"', "-"]
        user = "0:0" if writable else self.user
        lines.append(
            f"exec chroot --userspec={user} --groups={user.split(':')[1]} {root} "
            f"{join([*inside, *command])}"
        )
        entered = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
        return [*entered, "sh", "-ec", "\n".join(lines)]

    def make_volumes(self) -> None:
        """The volumes, which begin as what the image has in their places."""
        for volume in ("data", "dagster"):
            place = self.root.parent / f"hosts.{volume}"
            shutil.copytree(self.at(volume), place)
            about = self.at(volume).stat()
            os.chown(place, about.st_uid, about.st_gid)
            place.chmod(about.st_mode)


def image_in(folder: Path) -> Image:
    """The built image; skips where there can be none."""
    if os.geteuid() or not shutil.which("unshare"):
        pytest.skip("a chroot takes root and unshare")
    tried = subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], check=False)
    if tried.returncode:
        pytest.skip("namespaces cannot be made here")
    image = Image(folder / "root")
    image.build()
    image.make_volumes()
    return image
