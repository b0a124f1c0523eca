"""`margrave init`: an operator's folder with an encrypted key and a configuration, all of it or nothing."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import tomli_w
from eth_account import Account

from margrave.addresses import NOBODY
from margrave.errors import Fatal
from margrave.settings import MARKETS_FILE, POLICY_FILE, ClockSettings

PUBLIC_VENUES: Final[Mapping[str, Mapping[str, Any]]] = {
    "deribit": {
        "base_url": "https://www.deribit.com",
        "stream_url": "wss://www.deribit.com",
        "requests_per_minute": 300,
    },
    "binance": {
        "base_url": "https://api.binance.com",
        "futures_url": "https://fapi.binance.com",
        "options_url": "https://eapi.binance.com",
        "stream_url": "wss://stream.binance.com:9443",
        "futures_stream_url": "wss://fstream.binance.com",
        "requests_per_minute": 600,
    },
    "okx": {
        "base_url": "https://www.okx.com",
        "stream_url": "wss://ws.okx.com:8443",
        "requests_per_minute": 300,
    },
    "bybit": {
        "base_url": "https://api.bybit.com",
        "stream_url": "wss://stream.bybit.com",
        "requests_per_minute": 300,
    },
    "kraken": {
        "base_url": "https://api.kraken.com",
        "futures_url": "https://futures.kraken.com",
        "stream_url": "wss://ws.kraken.com",
        "futures_stream_url": "wss://futures.kraken.com",
        "requests_per_minute": 60,
    },
    "coinbase": {
        "base_url": "https://api.coinbase.com",
        "stream_url": "wss://advanced-trade-ws.coinbase.com",
        "requests_per_minute": 300,
    },
    "hyperliquid": {
        "base_url": "https://api.hyperliquid.xyz",
        "stream_url": "wss://api.hyperliquid.xyz",
        "requests_per_minute": 60,
    },
}
FEAR_GREED_URL: Final = "https://api.alternative.me/fng/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What goes into node.toml; everything has a default that suits a first look."""

    name: str
    rpc: tuple[str, ...] = ("http://127.0.0.1:8545",)
    chain_id: int = 31337
    oracle: str = NOBODY
    clearinghouse: str | None = None
    confirmations: int = 2
    peers: tuple[str, ...] = ()
    port: int = 8710
    venues: Mapping[str, Mapping[str, Any]] | None = None
    chains: Mapping[str, Mapping[str, Any]] | None = None
    """What is watched beside the chain that is published to."""
    clock: ClockSettings | None = None
    markets_file: Path = MARKETS_FILE
    policy_file: Path = POLICY_FILE
    passphrase: str | None = None
    log_format: str = "text"


def init(folder: Path, plan: Plan) -> str:
    """Make the folder; returns the new member's address.

    Files: node.toml, keystore.json (Web3 Secret Storage) and passphrase, the last two readable by their owner only.
    A passphrase that is not given is drawn at random: 256 bits, so the keystore's own stretching need not save it.

    Raises:
        Fatal: the folder exists and is not empty, or cannot be written. Nothing is left half-made.
    """
    if folder.exists() and any(folder.iterdir()):
        raise Fatal(f"{folder} is not empty", advice="choose a new folder: a key is never overwritten")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=".margrave-init-", dir=folder.parent))
    except OSError as error:
        raise Fatal(f"{folder}: {error.strerror}", advice="choose a folder you can write to") from error
    try:
        address = _write(draft, plan)
        if folder.exists():
            folder.rmdir()
        draft.rename(folder)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return address


def configure(folder: Path, plan: Plan) -> None:
    """Write node.toml (again); the key stays as it is."""
    (folder / "node.toml").write_text(_toml(plan), encoding="utf-8")


def _write(draft: Path, plan: Plan) -> str:
    passphrase = plan.passphrase or secrets.token_urlsafe(32)
    account = Account.create()
    keystore = Account.encrypt(account.key, passphrase)
    _private(draft / "keystore.json", json.dumps(keystore, indent=2) + "\n")
    _private(draft / "passphrase", passphrase + "\n")
    configure(draft, plan)
    return str(account.address)


def _toml(plan: Plan) -> str:
    chain: dict[str, Any] = {
        "rpc": list(plan.rpc),
        "chain_id": plan.chain_id,
        "oracle": plan.oracle,
        "confirmations": plan.confirmations,
    }
    if plan.clearinghouse is not None:
        chain["clearinghouse"] = plan.clearinghouse
    document: dict[str, Any] = {
        "name": plan.name,
        "state_dir": "state",
        "markets_file": str(plan.markets_file),
        "policy_file": str(plan.policy_file),
        "log_format": plan.log_format,
        "keys": {"keystore": "keystore.json", "passphrase_file": "passphrase"},
        "chain": chain,
        "peers": {"urls": list(plan.peers), "port": plan.port},
        "venues": plan.venues or PUBLIC_VENUES,
    }
    if plan.venues is None:
        document["sentiment"] = {"fear_greed_url": FEAR_GREED_URL}
    if plan.chains is not None:
        document["chains"] = plan.chains
    if plan.clock is not None:
        document["clock"] = plan.clock.model_dump()
    return tomli_w.dumps(document)


def _private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
