from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from margrave.chain.signer import KeystoreSigner
from margrave.errors import Fatal
from margrave.operate.init import Plan, init
from margrave.settings import load


def test_the_key_is_on_disk_only_encrypted(tmp_path: Path) -> None:
    address = init(tmp_path / "ada", Plan(name="ada", passphrase="correct horse"))
    keystore = json.loads((tmp_path / "ada" / "keystore.json").read_text())
    assert keystore["crypto"]["kdf"] == "scrypt"
    assert keystore["address"].lower() == address[2:].lower()
    signer = KeystoreSigner.unlock(load(tmp_path / "ada" / "node.toml").node.keys)
    assert signer.address == address


def test_secrets_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    init(tmp_path / "ada", Plan(name="ada"))
    for name in ("keystore.json", "passphrase"):
        mode = (tmp_path / "ada" / name).stat().st_mode
        assert not mode & (stat.S_IRWXG | stat.S_IRWXO)


def test_a_folder_with_anything_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "ada").mkdir()
    (tmp_path / "ada" / "keystore.json").write_text("precious")
    with pytest.raises(Fatal, match="never overwritten"):
        init(tmp_path / "ada", Plan(name="ada"))
    assert (tmp_path / "ada" / "keystore.json").read_text() == "precious"
    assert [p.name for p in tmp_path.iterdir()] == ["ada"]


def test_a_failure_leaves_nothing_half_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("margrave.operate.init._toml", broken)
    with pytest.raises(OSError, match="No space"):
        init(tmp_path / "ada", Plan(name="ada"))
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_passphrase_is_said_in_one_line(tmp_path: Path) -> None:
    init(tmp_path / "ada", Plan(name="ada"))
    (tmp_path / "ada" / "passphrase").write_text("wrong\n")
    with pytest.raises(Fatal, match="wrong passphrase"):
        KeystoreSigner.unlock(load(tmp_path / "ada" / "node.toml").node.keys)


def test_a_passphrase_that_others_can_read_is_refused(tmp_path: Path) -> None:
    init(tmp_path / "ada", Plan(name="ada"))
    (tmp_path / "ada" / "passphrase").chmod(0o644)
    with pytest.raises(Fatal, match="chmod 600"):
        KeystoreSigner.unlock(load(tmp_path / "ada" / "node.toml").node.keys)


def test_a_keystore_that_is_none_is_refused(tmp_path: Path) -> None:
    init(tmp_path / "ada", Plan(name="ada"))
    (tmp_path / "ada" / "keystore.json").write_text("{}")
    with pytest.raises(Fatal, match="not a keystore"):
        KeystoreSigner.unlock(load(tmp_path / "ada" / "node.toml").node.keys)
