"""What the files in deploy/ say, and the commands that they name."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
BIN = Path(sys.prefix) / "bin"
Instruction = tuple[str, str]  # RUN, and what follows


def loaded(name: str) -> Any:
    """A YAML file in deploy/."""
    return yaml.safe_load((DEPLOY / name).read_text("utf-8"))


def dockerfile() -> list[Instruction]:
    """The image's instructions, in order."""
    text = (DEPLOY / "Dockerfile").read_text("utf-8")
    joined = re.sub(r"\\\n\s*", "", text)
    lines = [line for line in joined.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in lines]


def image_environment() -> dict[str, str]:
    """The variables that the image sets."""
    found = [text for name, text in dockerfile() if name == "ENV"]
    return dict(part.split("=", 1) for text in found for part in shlex.split(text))


@cache
def help_of(*command: str) -> str:
    """What a command of this environment answers to --help."""
    done = subprocess.run(
        [BIN / command[0], *command[1:], "--help"], capture_output=True, text=True, check=True
    )
    return done.stdout


def assert_exists(command: Sequence[str]) -> None:
    """Fail unless the command is there and knows each option that it is given."""
    options = [part for part in command if part.startswith("-")]
    words = list(command[: command.index(options[0])] if options else command)
    known = help_of(*words)
    for option in options:
        assert re.search(rf"{option}\b", known), f"{words} knows no {option}"
