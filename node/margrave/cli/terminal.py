"""What the verbs share: the terminal they print to, the file they are told, and how a missing extra is said."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, ClassVar, Protocol

import typer
from rich.console import Console

from margrave.errors import Fatal

out = Console(soft_wrap=True)

Config = Annotated[
    Path, typer.Option("--config", "-c", envvar="MARGRAVE_CONFIG", help="The node's node.toml.", show_default=True)
]
HERE = Path("node.toml")
COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


class Told(Protocol):
    """An answer: a dataclass that can say itself in lines."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    def lines(self) -> list[str]: ...


def say(told: Told, *, as_json: bool) -> None:
    """In sentences, or as one JSON object."""
    sys.stdout.write(json.dumps(asdict(told)) + "\n" if as_json else "\n".join(told.lines()) + "\n")


def write(lines: Iterable[str]) -> None:
    """As they are: what venues and files say is no markup."""
    for line in lines:
        out.print(line, markup=False, highlight=False)


@contextmanager
def the_lab() -> Iterator[None]:
    """For imports of what the extra `lab` brings: without it, one line says so."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise Fatal(f"{error.name} is not installed", advice="pip install 'margrave[lab]'") from error


def text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise Fatal(f"{path}: {error.strerror}", advice="check the path") from error
