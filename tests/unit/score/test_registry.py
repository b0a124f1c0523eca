from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest

from margrave.errors import Fatal
from margrave.score.registry import Model, model_set_hash, open_model
from margrave.settings import REGISTRY

NAMES = sorted(str(card.parent.relative_to(REGISTRY)) for card in REGISTRY.glob("*/*/card.toml"))
MODEL = "gjr_garch_t/1"


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The baseline in a registry of its own; returns its folder."""
    shutil.copytree(REGISTRY / MODEL, tmp_path / MODEL)
    return tmp_path / MODEL


def refused(folder: Path, name: str = MODEL) -> str:
    with pytest.raises(Fatal) as caught:
        open_model(folder.parents[1], name)
    line = str(caught.value)
    assert "\n" not in line
    assert caught.value.advice
    return line


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_every_model_of_the_registry_reproduces_its_golden_outputs(name: str) -> None:
    model = open_model(REGISTRY, name)
    with np.load(REGISTRY / name / "reference.npz") as golden:
        found = model.run({key.removeprefix("in_"): golden[key] for key in golden.files if key.startswith("in_")})
        assert set(found) == {tensor.name for tensor in model.card.outputs}
        for output, values in found.items():
            assert np.allclose(values, golden[f"out_{output}"], rtol=model.card.tolerance, atol=model.card.tolerance)


def test_the_registry_holds_both_models_of_the_first_policy() -> None:
    assert {"gjr_garch_t/1", "tail_net/1"} <= set(NAMES)


@pytest.mark.parametrize("file", ["model.onnx", "reference.npz"])
def test_one_flipped_bit_is_refused(copied: Path, file: str) -> None:
    flip_a_byte(copied / file)
    assert "SHA-256" in refused(copied)


@pytest.mark.parametrize("file", ["model.onnx", "reference.npz", "card.toml"])
def test_a_missing_file_is_refused_by_its_path(copied: Path, file: str) -> None:
    (copied / file).unlink()
    assert file in refused(copied)


def test_a_card_with_an_unknown_key_is_refused(copied: Path) -> None:
    edit(copied / "card.toml", "title =", "titel =")
    assert "titel" in refused(copied)


def test_a_card_that_is_not_toml_is_refused(copied: Path) -> None:
    (copied / "card.toml").write_bytes(b"\xff\xfe not toml")
    assert "card.toml" in refused(copied)


def test_the_card_of_another_model_is_refused(copied: Path) -> None:
    edit(copied / "card.toml", 'name = "gjr_garch_t/1"', 'name = "gjr_garch_t/2"')
    assert "gjr_garch_t/2" in refused(copied)


def test_another_models_files_under_this_card_are_refused(copied: Path) -> None:
    shutil.copy(REGISTRY / "tail_net/1/model.onnx", copied / "model.onnx")
    assert "SHA-256" in refused(copied)


def test_a_model_that_computes_something_else_is_refused_even_when_every_hash_matches(copied: Path) -> None:
    with np.load(copied / "reference.npz") as golden:
        arrays = {key: golden[key] for key in golden.files}
    arrays["out_sigma"] = arrays["out_sigma"] * (1 + 1e-6) + 1e-9
    np.savez_compressed(copied / "reference.npz", **arrays)
    rehash(copied, "reference")
    assert "golden outputs" in refused(copied)


def test_golden_outputs_of_another_shape_are_refused(copied: Path) -> None:
    with np.load(copied / "reference.npz") as golden:
        arrays = {key: golden[key] for key in golden.files}
    arrays["out_sigma"] = arrays["out_sigma"][:-1]
    np.savez_compressed(copied / "reference.npz", **arrays)
    rehash(copied, "reference")
    assert "output sigma" in refused(copied)


def test_a_graph_whose_inputs_are_not_those_of_its_card_is_refused(copied: Path) -> None:
    shutil.copy(REGISTRY / "tail_net/1/model.onnx", copied / "model.onnx")
    rehash(copied, "model")
    assert "not what its card says" in refused(copied)


def test_bytes_that_are_no_graph_are_refused_even_when_the_hash_matches(copied: Path) -> None:
    (copied / "model.onnx").write_bytes(b"not a graph")
    rehash(copied, "model")
    assert "does not load" in refused(copied)


def test_an_archive_that_holds_no_golden_outputs_is_refused(copied: Path) -> None:
    (copied / "reference.npz").write_bytes(b"not an archive")
    rehash(copied, "reference")
    assert "golden inputs and outputs" in refused(copied)


@pytest.mark.parametrize(
    "name", ["gjr_garch_t", "../gjr_garch_t/1", "gjr_garch_t/..", "/etc/passwd", "a/b/c", "A/1", ""]
)
def test_a_name_that_is_not_family_and_version_never_reaches_the_disk(copied: Path, name: str) -> None:
    assert "family/version" in refused(copied, name)


def test_the_model_set_hash_ignores_order_and_repeats_and_names_every_graph() -> None:
    a, b = (open_model(REGISTRY, name) for name in NAMES[:2])
    assert model_set_hash([a, b]) == model_set_hash([b, a, a])
    assert len({model_set_hash(models) for models in ([a], [b], [a, b])}) == 3
    assert len(model_set_hash([a, b])) == 32


def test_a_model_set_changes_with_a_graph_but_not_with_a_sentence_of_its_card() -> None:
    model = open_model(REGISTRY, MODEL)
    reworded = Model(msgspec.structs.replace(model.card, title="another title"), model.session)
    other = Model(msgspec.structs.replace(model.card, model_sha256="0" * 64), model.session)
    assert model_set_hash([reworded]) == model_set_hash([model]) != model_set_hash([other])


def rehash(folder: Path, which: str) -> None:
    """Make the card vouch for a file that was tampered with."""
    file = {"model": "model.onnx", "reference": "reference.npz"}[which]
    sha = hashlib.sha256((folder / file).read_bytes()).hexdigest()
    card = folder / "card.toml"
    text = re.sub(rf'{which}_sha256 = "\w+"', f'{which}_sha256 = "{sha}"', card.read_text(encoding="utf-8"))
    card.write_text(text, encoding="utf-8")
