"""Compiles a peer's contract from node_modules with the compiler and settings that its makers use."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from margrave.errors import Fatal
from margrave.lab.solidity import IMPORT, resolved
from margrave.settings import PROJECT_ROOT

NODE_MODULES: Final = PROJECT_ROOT / "node_modules"
COMPILE: Final = "process.stdout.write(require(process.argv[1]).compile(require('fs').readFileSync(0, 'utf8')))"


@dataclass(frozen=True, slots=True)
class Compiler:
    """A release of solc-js by the name it has in node_modules, and what it is told."""

    package: str
    runs: int
    evm_version: str

    @property
    def conditions(self) -> str:
        version = json.loads((NODE_MODULES / self.package / "package.json").read_text(encoding="utf-8"))["version"]
        return f"solc {version}, optimizer runs {self.runs}, {self.evm_version}"

    @cache  # noqa: B019 - a handful of compilers, and the values are wanted again
    def compile(self, name: str, source: str) -> tuple[list[dict[str, Any]], str]:
        """ABI and creation code of one contract whose imports lie in node_modules.

        Raises:
            Fatal: an import is not installed, or the compiler refuses.
        """
        unit = f"{name}.sol"
        request = {
            "language": "Solidity",
            "sources": {path: {"content": text} for path, text in _closure(unit, source).items()},
            "settings": {
                "optimizer": {"enabled": True, "runs": self.runs},
                "evmVersion": self.evm_version,
                "outputSelection": {unit: {name: ["abi", "evm.bytecode.object"]}},
            },
        }
        done = subprocess.run(  # noqa: S603 - our own arguments
            ["node", "-e", COMPILE, NODE_MODULES / self.package],  # noqa: S607 - the node that the compiler runs on
            input=json.dumps(request),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise Fatal(f"{self.package} ended with {done.stderr.strip()}", advice="run scripts/setup")
        output = json.loads(done.stdout)
        refusals = [x["formattedMessage"] for x in output.get("errors", ()) if x["severity"] == "error"]
        if refusals:
            raise Fatal(f"{name} does not compile: {refusals[0]}", advice="run scripts/setup")
        compiled = output["contracts"][unit][name]
        return compiled["abi"], "0x" + compiled["evm"]["bytecode"]["object"]


def _closure(unit: str, source: str) -> Mapping[str, str]:
    found = {unit: source}
    todo = [resolved(unit, target) for target in IMPORT.findall(source)]
    while todo:
        path = todo.pop()
        if path in found:
            continue
        found[path] = _text(NODE_MODULES / path)
        todo += [resolved(path, target) for target in IMPORT.findall(found[path])]
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise Fatal(f"{path}: {error.strerror}", advice="run scripts/setup") from error
