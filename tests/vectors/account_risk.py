"""Vectors of account multipliers: reports as members sign them, and the accounts' slots after each."""

from __future__ import annotations

import random
from typing import Any, Final

from eth_keys.datatypes import PrivateKey
from eth_typing import HexAddress, HexStr
from web3 import Web3
from web3.types import Nonce
from web3.utils.address import get_create_address

from margrave.mirror.account_risk import NOTHING, Bounds, Entry, Held, Skip, multiplier, report_digest, settle

DEPLOYER: Final = "0x00000000000000000000000000000000000d3911"
PRIVATE_KEYS: Final = (0xA1, 0xB2, 0xC3)
"""The quorum of contracts/test/oracle/OracleSetup.sol."""
MODELS: Final = (0xABCD).to_bytes(32, "big")
PERIOD_S: Final = 300
START_S: Final = 1_800_000_000
CHAIN_ID: Final = 31_337
BOUNDS: Final = Bounds(max_multiplier_bp=30_000, max_rise_bp=2_500, max_fall_bp=1_000, max_lifetime_s=7_200)
ACCOUNTS: Final = tuple(Web3.to_checksum_address(f"0x{number:040x}") for number in (0xA11CE, 0xB0B, 0xCAFE))
REPORTS: Final = 48
PAUSED: Final = range(20, 28)
"""In the second epoch the oracle is paused; in the third it is not."""


def account_risk_vectors() -> dict[str, Any]:
    """Reports one after another, three entries each; of a report that writes nothing `written` is zero."""
    rng = random.Random("margrave account risk")
    contract = get_create_address(HexAddress(HexStr(DEPLOYER)), Nonce(0))
    slots = dict.fromkeys(ACCOUNTS, NOTHING)
    columns: dict[str, list[Any]] = {
        name: [] for name in ("now", "round", "account", "bp", "expires", "rvs", "written", "held", "multiplier")
    }
    round_ = START_S // PERIOD_S
    for number in range(REPORTS):
        epoch = 1 + (number >= PAUSED.start) + (number >= PAUSED.stop)
        round_ += rng.choice((0, 1, 1, 1, 2))
        now_s = round_ * PERIOD_S + rng.randrange(-30, 600) + 1
        now_s = max(now_s, columns["now"][-1] if columns["now"] else START_S)
        entries = [_entry(rng, now_s) for _ in range(3)]
        digest = report_digest(CHAIN_ID, contract, epoch, round_, MODELS, BOUNDS, entries)
        written = 0
        for entry in entries:
            taken = settle(slots[entry.account], entry, round_ * PERIOD_S, now_s, BOUNDS, paused=number in PAUSED)
            if not isinstance(taken, Skip):
                slots[entry.account] = taken
                written += 1
        columns["now"].append(now_s)
        columns["round"].append(round_)
        columns["account"] += [entry.account for entry in entries]
        columns["bp"] += [entry.multiplier_bp for entry in entries]
        columns["expires"] += [entry.expires_at_s for entry in entries]
        columns["rvs"] += [half for key in PRIVATE_KEYS for half in _signature(key, digest)]
        columns["written"].append(written)
        columns["held"] += [x for slot in slots.values() for x in _slot(slot)]
        columns["multiplier"] += [multiplier(slot, now_s) for slot in slots.values()]
    return {
        "deployer": DEPLOYER,
        "contract": contract,
        "accounts": list(ACCOUNTS),
        "pausedFrom": PAUSED.start,
        "pausedUntil": PAUSED.stop,
        **columns,
    }


def _entry(rng: random.Random, now_s: int) -> Entry:
    bp = rng.choice((9_999, 10_000, rng.randrange(10_000, 14_000), rng.randrange(10_000, 30_001), 30_000, 30_001))
    return Entry(rng.choice(ACCOUNTS), bp, now_s + rng.choice((0, 1, rng.randrange(600, 7_200), 100_000)))


def _signature(number: int, digest: bytes) -> tuple[str, str]:
    signature = PrivateKey(number.to_bytes(32, "big")).sign_msg_hash(digest)
    return f"0x{signature.r:064x}", f"0x{signature.s | signature.v << 255:064x}"


def _slot(slot: Held) -> tuple[int, int, int]:
    return slot.multiplier_bp, slot.expires_at_s, slot.observed_at_s
