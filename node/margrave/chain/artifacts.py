"""The committed contract artifacts (contracts/artifacts/*.json): what is deployed, and what compiled it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec

from margrave.errors import Fatal

CONTRACTS_DIR: Final = Path(__file__).resolve().parents[3] / "contracts"
ARTIFACTS_DIR: Final = CONTRACTS_DIR / "artifacts"


class Artifact(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """One deployed contract; `source_sha256` covers every source file that went into it, by path."""

    abi: list[dict[str, Any]]
    bytecode: str
    deployed_bytecode: str
    compiler: str
    settings: dict[str, Any]
    source_sha256: str


def load(name: str, directory: Path = ARTIFACTS_DIR) -> Artifact:
    """Raises: Fatal: there is no such artifact, or it is not one."""
    path = directory / f"{name}.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=Artifact)
    except OSError as error:
        raise Fatal(f"{path}: {error.strerror or error}", advice="run scripts/contracts") from error
    except msgspec.MsgspecError as error:
        raise Fatal(f"{path} is not a contract artifact: {error}", advice="run scripts/contracts") from error
