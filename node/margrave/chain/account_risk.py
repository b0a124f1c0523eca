"""The AccountRisk contract as its operators use it: what binds a report of a round, and the report as one transaction.

Synchronous, on one endpoint: it is asked once by a person, not every round by a node.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from functools import cached_property
from typing import Final

from web3 import Web3
from web3.exceptions import Web3Exception

from margrave.chain import settings_blob
from margrave.chain.deployment.blueprint import calldata
from margrave.chain.sender import Sender
from margrave.errors import Fatal
from margrave.messages import Epoch
from margrave.mirror.account_risk import Bounds, Entry, Held

ARTIFACT: Final = "AccountRisk"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What a report of one round is judged by, as the chain says it now. Unix seconds."""

    chain_id: int
    contract: str
    round: int
    period_s: int
    now_s: int
    """The newest block's time."""
    epoch: Epoch
    """The oracle's, as it binds the round."""
    bounds: Bounds
    held: Mapping[str, Held]
    """By account."""

    @property
    def observed_at_s(self) -> int:
        return self.round * self.period_s


class AccountRisk:
    """One deployed AccountRisk. Every failure of the endpoint or the address is `Fatal`."""

    def __init__(self, sender: Sender, oracle: str, contract: str) -> None:
        """Raises: Fatal: there is no AccountRisk at the address, or it is another oracle's."""
        self.address = Web3.to_checksum_address(contract)
        self._sender = sender
        self._contract = sender.at(ARTIFACT, self.address)
        self._oracle = sender.at("RiskOracle", oracle)
        with self._asking():
            beside = self._contract.functions.oracle().call()
        if beside != self._oracle.address:
            raise Fatal(
                f"{self.address} reads the oracle {beside}, the configuration says {self._oracle.address}",
                advice="correct --contract, or chain.oracle in node.toml",
            )

    @classmethod
    def of_clearinghouse(cls, sender: Sender, oracle: str, clearinghouse: str) -> AccountRisk:
        """The one by which a clearinghouse multiplies. Raises: Fatal: there is no clearinghouse at the address."""
        house = sender.at("OptionsClearinghouse", clearinghouse)
        try:
            contract = house.functions.accountRisk().call()
        except (Web3Exception, OSError) as error:
            raise Fatal(
                f"no clearinghouse answers at {clearinghouse}: {error}",
                advice="correct chain.clearinghouse in node.toml, or name --contract",
            ) from error
        return cls(sender, oracle, contract)

    @cached_property
    def period_s(self) -> int:
        """Of a round; the oracle never changes it."""
        with self._asking():
            return int(self._oracle.functions.period().call())

    def standing(self, round_: int, accounts: Sequence[str]) -> Standing:
        """What binds a report of these accounts now.

        Raises:
            Fatal: no settings bind the round, or the endpoint does not answer.
        """
        with self._asking():
            number, pointer = self._oracle.functions.configOf(round_).call()
            if number == 0:
                raise Fatal(f"no epoch binds round {round_}", advice="look at the oracle with `margrave check`")
            return Standing(
                chain_id=self._sender.chain_id,
                contract=self.address,
                round=round_,
                period_s=self.period_s,
                now_s=self._sender.now_s(),
                epoch=settings_blob.decode(number, self._sender.code(pointer)),
                bounds=Bounds(*self._contract.functions.bounds().call()),
                held={account: Held(*self._contract.functions.held(account).call()) for account in accounts},
            )

    def calldata(self, round_: int, bitmap: int, signatures: Sequence[bytes], entries: Sequence[Entry]) -> bytes:
        """What publishes a report; signatures of 64 bytes in the order of the bitmap's bits."""
        halves = [half for signature in signatures for half in (signature[:32], signature[32:])]
        return calldata(ARTIFACT, "publish", (round_, bitmap, halves, [astuple(entry) for entry in entries]))

    @contextmanager
    def _asking(self) -> Iterator[None]:
        try:
            yield
        except (Web3Exception, OSError) as error:
            raise Fatal(
                f"no AccountRisk answers at {self.address}: {error}",
                advice="correct --contract, or the first endpoint of chain.rpc in node.toml",
            ) from error
