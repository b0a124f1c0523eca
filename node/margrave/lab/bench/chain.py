"""A local chain of one's own, and a committee that signs and publishes on it."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO, Final

from eth_keys.datatypes import PrivateKey
from web3.contract.contract import ContractFunction
from web3.types import TxReceipt

from margrave import lanes
from margrave.chain.deploy import Deployment, Sender, deploy
from margrave.errors import Fatal
from margrave.lab.bench.peers.wire import Chain
from margrave.lanes import Words
from margrave.mirror.medians import medians
from margrave.mirror.typed_data import UNEXPLAINED, co_signed_digest, evidence_root, own_words_digest, words_hash
from margrave.settings import PROJECT_ROOT, Policy
from margrave.verdicts import ReportKind

ANVIL: Final = PROJECT_ROOT / "node_modules" / ".bin" / "anvil"
FUNDED_KEYS: Final = (
    "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
    "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
    "0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
)
"""Foundry's well-known development keys, rich on every anvil and nowhere else."""

BLOCK_GAS: Final = 2_000_000_000
LISTENING: Final = "Listening on "
MODEL_SET: Final = bytes(range(32))
STARTS_AT_S: Final = 1_800_000_000
"""The benchmark's clock begins here at every run: what margin costs depends on the time to expiry."""

QUORUM_BYTE: Final = 32
"""Of a settings blob: after a byte that stops execution comes the header word, whose lowest byte is the quorum."""

STILL: Final = ("confidence", *lanes.BOXES)
"""Lanes that stay: bounded by their meaning, or loose in both directions."""

CURRENT_EPOCH: Final = 6
"""Where the oracle's `State` has it."""

CALM: Final[Mapping[str, float]] = {
    "down_q975": 0.017,
    "down_q995": 0.029,
    "down_es99": 0.034,
    "down_q9995": 0.055,
    "down_es999": 0.071,
    "up_q975": 0.016,
    "up_q995": 0.027,
    "up_es99": 0.032,
    "up_q9995": 0.051,
    "up_es999": 0.066,
    "vol_up": 0.21,
    "vol_down": 0.15,
    "liquidity": 0.001,
    "cascade_probability": 0.1,
    "cascade_size": 0.04,
    "contagion": 0.003,
    "score": 2_000,
    "confidence": 0.9,
    "total_vol_7d": 0.085,
    "total_vol_30d": 0.165,
    "total_vol_90d": 0.295,
    "ssvi_rho": -0.2,
    "ssvi_wing": 0.8,
    "ssvi_decay": 0.4,
    "basis": 0.05,
}
"""An ordinary day of bitcoin, by lane."""


@contextmanager
def local_chain(*, starts_at_s: int | None = None, chain_id: int | None = None) -> Iterator[str]:
    """Start anvil on a free port, now or at a time of its own, perhaps under another id; gives its URL and ends it.

    Raises:
        Fatal: it does not start.
    """
    options = ["--port", "0", "--hardfork", "prague", "--gas-limit", str(BLOCK_GAS)]
    if starts_at_s is not None:
        options += ["--timestamp", str(starts_at_s)]
    if chain_id is not None:
        options += ["--chain-id", str(chain_id)]
    # A file, not a pipe: anvil logs every call, and stops when nobody empties the pipe.
    with tempfile.TemporaryFile("w+") as log, subprocess.Popen([ANVIL, *options], stdout=log) as process:  # noqa: S603
        try:
            yield "http://" + _address(process, log)
        finally:
            process.terminate()


def _address(process: subprocess.Popen[bytes], log: IO[str]) -> str:
    while process.poll() is None:
        log.seek(0)
        for line in log:
            if line.startswith(LISTENING) and line.endswith("\n"):
                return line.removeprefix(LISTENING).strip()
        time.sleep(0.02)
    raise Fatal("anvil ended before it listened", advice="run scripts/setup, then node_modules/.bin/anvil by hand")


class Committee:
    """Members with fixed keys who publish on an oracle deployed for them, one round after another; the first of them,
    a quorum, are who signs. The policy says which kind of report they make."""

    def __init__(self, url: str, policy: Policy, *, members: int, quorum: int, markets: int) -> None:
        self._keys = [PrivateKey(number.to_bytes(32, "big")) for number in range(1, members + 1)]
        self._quorum, self._policy = quorum, policy
        self.sender = Sender(url, FUNDED_KEYS[0])
        self.deployment: Deployment = deploy(
            url,
            FUNDED_KEYS[0],
            policy,
            markets=markets,
            members=[key.public_key.to_checksum_address() for key in self._keys],
            quorum=max(quorum, least_quorum(members)),
            model_set=MODEL_SET,
        )
        self.oracle = self.sender.at("RiskOracle", self.deployment.oracle)
        if quorum < least_quorum(members):
            self._lower_quorum(url)

    def _lower_quorum(self, url: str) -> None:
        """Edit the settings blob on the local chain: governance itself cannot choose a quorum of two thirds or fewer,
        but prototypes and other oracles were measured with one."""
        chain = Chain(url)
        _, blob = self.oracle.functions.configOf(self.sender.now_s() // self._policy.round.period_s).call()
        code = bytearray.fromhex(chain.ask("eth_getCode", blob, "latest")[2:])
        code[QUORUM_BYTE] = self._quorum
        chain.ask("anvil_setCode", blob, "0x" + code.hex())

    def publish(self, rows: Sequence[Sequence[Words]]) -> TxReceipt:
        """Move the chain to its next round and publish there; `rows` are each signer's words, market by market."""
        return self.sender.send(self.prepare(rows))

    def prepare(self, rows: Sequence[Sequence[Words]]) -> ContractFunction:
        """Move the chain to its next round; gives the call that publishes there."""
        round_ = self.sender.now_s() // self._policy.round.period_s + 1
        self.sender.mine_at(round_ * self._policy.round.period_s)
        return self.publication(round_, rows)

    def publication(self, round_: int, rows: Sequence[Sequence[Words]]) -> ContractFunction:
        """The call that publishes a round: each signer's own words, or their medians signed by all of them."""
        own = [[word for market in row for word in (market.risk, market.market)] for row in rows]
        if self._policy.round.report is ReportKind.OWN_WORDS:
            digests = [own_words_digest(*self._bound(round_), words) for words in own]
            return self.oracle.functions.publish(
                round_, 0, *self._signatures(digests), [word for words in own for word in words]
            )
        root = evidence_root([(member, words_hash(words), UNEXPLAINED) for member, words in enumerate(own)])
        agreed = [medians([row[market] for row in rows]) for market in range(len(rows[0]))]
        words = [word for each in agreed for word in ((0, 0) if each is None else (each.risk, each.market))]
        digest = co_signed_digest(*self._bound(round_), root, words)
        return self.oracle.functions.publishCoSigned(round_, 0, *self._signatures([digest] * self._quorum), root, words)

    def _bound(self, round_: int) -> tuple[int, str, int, int, int, bytes, bytes]:
        """What every digest begins with."""
        epoch, _, _, _, _, model_set, policy_digest, _, _ = self.oracle.functions.state().call()[CURRENT_EPOCH]
        return self.deployment.chain_id, self.deployment.oracle, epoch, round_, 0, model_set, policy_digest

    def _signatures(self, digests: Sequence[bytes]) -> tuple[int, list[bytes]]:
        """Bitmap of the first members, a quorum, and the halves of their signatures."""
        rvs: list[bytes] = []
        for key, digest in zip(self._keys, digests, strict=False):
            signature = key.sign_msg_hash(digest)
            rvs += [signature.r.to_bytes(32, "big"), (signature.s | signature.v << 255).to_bytes(32, "big")]
        return (1 << self._quorum) - 1, rvs


def least_quorum(members: int) -> int:
    """The fewest signers that governance may choose: more than two thirds."""
    return 2 * members // 3 + 1


def ordinary(market: int, member: int, round_: int) -> Words:
    """What one member might sign on a day on which risk slowly rises: every figure of every market moves each round, a
    little different for everyone, and no step limit or budget is in its way."""
    tilt = 1 + 0.0004 * ((7 * market + 3 * member) % 11 - 5) + 0.0005 * round_
    moved = {name: value if name in STILL else value * tilt for name, value in CALM.items()}
    return lanes.encode(moved, (60_000 / (1 + market)) * tilt)
