"""Who signs: an encrypted keystore on this machine. A remote signer or a KMS fits behind the same three members."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any, Final, Protocol

from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_typing import Hash32

from margrave.errors import Fatal
from margrave.settings import KeySettings

HALF_ORDER: Final = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
"""secp256k1 order / 2: a signature with a larger s is the malleable twin of one with a smaller, and is refused."""


class Signer(Protocol):
    @property
    def address(self) -> str: ...

    def sign_digest(self, digest: bytes) -> bytes:
        """64 bytes: r, then s with the recovery bit on top (EIP-2098)."""
        ...

    def sign_transaction(self, transaction: dict[str, Any]) -> tuple[bytes, str]:
        """(raw transaction, its hash)."""
        ...


class KeystoreSigner:
    """A key decrypted into memory at start; it is never written, logged or sent."""

    def __init__(self, account: LocalAccount) -> None:
        self._account = account

    @classmethod
    def unlock(cls, settings: KeySettings) -> KeystoreSigner:
        """Decrypt the keystore.

        Raises:
            Fatal: a file is missing, readable by others, not a keystore, or the passphrase is wrong.
        """
        passphrase = _private_text(settings.passphrase_file, "passphrase file").rstrip("\n")
        try:
            keystore = json.loads(_private_text(settings.keystore, "keystore"))
            return cls(Account.from_key(Account.decrypt(keystore, passphrase)))
        except (ValueError, KeyError, TypeError) as error:
            wrong = "MAC mismatch" in str(error)
            raise Fatal(
                f"{settings.keystore}: {'wrong passphrase' if wrong else 'not a keystore file'}",
                advice="check keys.keystore and keys.passphrase_file, or make new ones with `margrave init`",
            ) from error

    @property
    def address(self) -> str:
        return str(self._account.address)

    def sign_digest(self, digest: bytes) -> bytes:
        signed = self._account.unsafe_sign_hash(Hash32(digest))
        return compact(signed.r, signed.s, signed.v)

    def sign_transaction(self, transaction: dict[str, Any]) -> tuple[bytes, str]:
        signed = self._account.sign_transaction(transaction)
        return bytes(signed.raw_transaction), "0x" + bytes(signed.hash).hex()


def compact(r: int, s: int, v: int) -> bytes:
    """EIP-2098: the recovery bit in the top bit of s, which a low s leaves free."""
    if s > HALF_ORDER:
        raise ValueError("s is in the upper half")
    return r.to_bytes(32, "big") + (s | (v - 27) << 255).to_bytes(32, "big")


def _private_text(path: Path, what: str) -> str:
    try:
        if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise Fatal(f"{what} {path} can be read by others", advice=f"chmod 600 {path}")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Fatal(f"{what} {path}: {error}", advice="check keys in node.toml, or run `margrave init`") from error
