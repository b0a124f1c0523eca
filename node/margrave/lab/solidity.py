"""What a Solidity source imports, and by what name the compiler knows it."""

from __future__ import annotations

import re
from typing import Final

IMPORT: Final = re.compile(r'^\s*import\s+(?:[^"\';]*\sfrom\s+)?["\']([^"\']+)["\']\s*;', re.MULTILINE)


def resolved(unit: str, target: str) -> str:
    """The source unit that `unit` means by an import path: beside itself where it begins with a dot."""
    if not target.startswith("."):
        return target
    parts = unit.split("/")[:-1]
    for part in target.split("/"):
        if part == "..":
            parts.pop()
        elif part != ".":
            parts.append(part)
    return "/".join(parts)
