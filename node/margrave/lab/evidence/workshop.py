"""The tools that the evidence is made with, and how they are started: forge, the pinned compiler, halmos, slither."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from margrave.chain.artifacts import CONTRACTS_DIR
from margrave.errors import Fatal

PROJECT: Final = CONTRACTS_DIR.parent
TOOLS: Final = PROJECT / ".venv-evidence"
"""The analysers' own virtual environment: they pin other versions than the node does."""


def _forge_binary() -> Path:
    """The binary of this platform's npm package: the package's wrapper exits 0 whatever forge says."""
    return next((PROJECT / "node_modules" / "@foundry-rs").glob("forge-*/bin/forge"), Path("forge"))


FORGE: Final = _forge_binary()
LONG_S: Final = 6 * 3600.0
UNREWRITTEN: Final = {
    "enabled": False,
    "details": {"yul": True, "yulDetails": {"stackAllocation": True, "optimizerSteps": "u:"}},
}
"""Optimiser settings for scripts/solc: places for the variables, without which nothing fits the stack, and no more."""


def forge(
    *arguments: str,
    root: Path = PROJECT,
    settings: Mapping[str, str] | None = None,
    timeout_s: float = LONG_S,
) -> subprocess.CompletedProcess[str]:
    """Run forge in a copy of the project. `settings` are foundry.toml's keys as environment (FOUNDRY_…)."""
    return subprocess.run(  # noqa: S603 - our own arguments
        [FORGE, *arguments],
        cwd=root,
        env={**os.environ, "FOUNDRY_CONFIG": "contracts/foundry.toml", "NO_COLOR": "1", **(settings or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s,
    )


def analyser(name: str, arguments: Sequence[str], cwd: Path, settings: Mapping[str, str]) -> str:
    """Output of a tool of the evidence environment; its exit code says what it found, not whether it ran.

    Raises:
        Fatal: The environment is not there.
    """
    tool = TOOLS / "bin" / name
    if not tool.exists():
        raise Fatal(f"{tool} is not there", advice="run scripts/evidence setup")
    path = os.pathsep.join([str(FORGE.parent), str(TOOLS / "bin"), os.environ.get("PATH", "")])
    done = subprocess.run(  # noqa: S603 - our own arguments
        [tool, *arguments],
        cwd=cwd,
        env={**os.environ, "PATH": path, "NO_COLOR": "1", **settings},
        capture_output=True,
        text=True,
        check=False,
        timeout=LONG_S,
    )
    return done.stdout + done.stderr


def syntax_tree(source: bytes, name: str) -> dict[str, Any]:
    """The compiler's syntax tree of one file, by itself: nothing it imports is read.

    Raises:
        Fatal: It does not parse.
    """
    asked = {
        "language": "Solidity",
        "sources": {name: {"content": source.decode()}},
        "settings": {"stopAfter": "parsing", "outputSelection": {"*": {"": ["ast"]}}},
    }
    done = subprocess.run(  # noqa: S603 - our own arguments
        [PROJECT / "scripts" / "solc", "--standard-json"],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=True,
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    if any(error["severity"] == "error" for error in answer.get("errors", [])):
        raise Fatal(f"{name} does not parse: {answer['errors'][0]['message']}", advice="mend the file")
    tree: dict[str, Any] = answer["sources"][name]["ast"]
    return tree
