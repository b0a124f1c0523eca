"""The committed vectors are what the mirror gives; the Vectors contracts of contracts/test hold Solidity to them."""

from __future__ import annotations

import pytest

from tests.vectors.make import FOLDER, make, rendered

VECTORS = make()


@pytest.mark.parametrize("name", sorted(VECTORS))
def test_the_mirror_still_gives_the_committed_numbers(name: str) -> None:
    assert (FOLDER / f"{name}.json").read_text(encoding="utf-8") == rendered(VECTORS[name])


def test_every_committed_vector_file_is_made_here() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(VECTORS)
