"""The RiskOracle contract as this node uses it: read all of it in one call, build and try a publication."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from eth_abi.abi import decode as abi_decode
from eth_abi.exceptions import DecodingError
from eth_utils.abi import event_abi_to_log_topic, function_abi_to_4byte_selector
from web3 import Web3
from web3.exceptions import ContractCustomError, ContractLogicError, Web3RPCError
from web3.types import TxParams, TxReceipt

from margrave import lanes
from margrave.chain import artifacts
from margrave.chain.rpc import Rpc
from margrave.errors import Fatal, Rejected
from margrave.lanes import Words
from margrave.messages import Bundle, ChainState, OnchainMarket
from margrave.verdicts import MarketStatus, Rejection

STATUSES: Final = tuple(MarketStatus)
"""In the order of `IRiskOracle.Status`."""


class Oracle:
    """One deployed RiskOracle. Reads are of the newest block of whichever endpoint answers."""

    def __init__(self, rpc: Rpc, address: str) -> None:
        self.address = Web3.to_checksum_address(address)
        self._rpc = rpc
        self._abi = artifacts.load("RiskOracle").abi
        self._contract = Web3().eth.contract(address=self.address, abi=self._abi)
        self._errors = _by_selector(self._abi)
        # Encoded once: a contract object a call costs more than the call.
        self._state_call = self._contract.encode_abi("state")
        self._state_types = [_abi_type(x) for x in _function(self._abi, "state")["outputs"]]

    async def state(self) -> ChainState:
        """Settings and every market, in one call and therefore at one block.

        Raises:
            Fatal: there is no RiskOracle at the address.
            Transient: no endpoint answers.
        """
        call: TxParams = {"to": self.address, "data": self._state_call}
        try:
            answer = await self._rpc.use(lambda w: w.eth.call(call))
            (told,) = abi_decode(self._state_types, answer)
        except (ContractLogicError, DecodingError) as error:
            raise Fatal(
                f"no RiskOracle at {self.address}", advice="correct chain.oracle in node.toml, or deploy first"
            ) from error
        block, time_s, epoch, members, quorum, model_set, policy_digest, timing, markets = told
        return ChainState(
            block=block,
            block_time_s=time_s,
            epoch=epoch,
            members=tuple(Web3.to_checksum_address(member) for member in members),
            quorum=quorum,
            model_set=model_set,
            policy_digest=policy_digest,
            period_s=timing[0],
            markets=tuple(_market(*market) for market in markets),
        )

    def calldata(self, bundle: Bundle, state: ChainState) -> bytes:
        """`publish` with a bundle: words and signatures member by member, in the order of the epoch's list."""
        bitmap = sum(1 << state.members.index(a.member) for a in bundle.attestations)
        halves = [half for a in bundle.attestations for half in (a.signature[:32], a.signature[32:])]
        words = [word for a in bundle.attestations for word in a.words]
        encoded = self._contract.encode_abi(
            "publish", args=[bundle.round, bundle.attestations[0].first_market, bitmap, halves, words]
        )
        return Web3.to_bytes(hexstr=encoded)

    async def simulate(self, data: bytes, sender: str) -> None:
        """Try a publication without sending it.

        Raises:
            Rejected: the contract would refuse it; the error's name and both its values are in the text.
        """
        try:
            await self._rpc.use(
                lambda w: w.eth.call({"to": self.address, "from": Web3.to_checksum_address(sender), "data": data})
            )
        except (ContractCustomError, ContractLogicError, Web3RPCError) as error:
            raise Rejected(
                Rejection.VENUE_ERROR,
                f"the oracle answers {self._explain(error)}",
                advice="compare epoch, round, model set and policy with the chain: `margrave check`",
            ) from error

    def events(self, receipt: TxReceipt) -> list[tuple[str, Mapping[str, Any]]]:
        """(name, arguments) of the oracle's own events in a receipt, in their order."""
        names = {bytes(event_abi_to_log_topic(x)): x["name"] for x in self._abi if x["type"] == "event"}  # type: ignore[arg-type]
        found: list[tuple[str, Mapping[str, Any]]] = []
        for entry in receipt["logs"]:
            name = names.get(bytes(entry["topics"][0]))
            if entry["address"] == self.address and name is not None:
                found.append((name, dict(self._contract.events[name]().process_log(entry)["args"])))
        return found

    def _explain(self, error: Exception) -> str:
        data = getattr(error, "data", None)
        if not isinstance(data, str) or len(data) < 10:
            return str(error)
        known = self._errors.get(bytes.fromhex(data[2:10]))
        if known is None:
            return f"an unknown error {data[:10]}"
        name, inputs = known
        try:
            values = abi_decode([kind for kind, _ in inputs], bytes.fromhex(data[10:]))
        except DecodingError:
            return name
        return f"{name}({', '.join(f'{field} {value}' for (_, field), value in zip(inputs, values, strict=True))})"


def _market(risk: int, market: int, _age_s: int, status: int) -> OnchainMarket:
    words = Words(risk, market)
    return OnchainMarket(words=words, observed_at_s=lanes.observed_at_s(words), status=STATUSES[status])


def _function(abi: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(x for x in abi if x["type"] == "function" and x["name"] == name)


def _abi_type(entry: Mapping[str, Any]) -> str:
    """The type of an ABI entry as eth_abi writes it: structs as tuples of their members' types."""
    kind: str = entry["type"]
    if not kind.startswith("tuple"):
        return kind
    return f"({','.join(_abi_type(x) for x in entry['components'])}){kind.removeprefix('tuple')}"


def _by_selector(abi: list[dict[str, Any]]) -> dict[bytes, tuple[str, list[tuple[str, str]]]]:
    return {
        bytes(function_abi_to_4byte_selector(x)): (x["name"], [(i["type"], i["name"]) for i in x["inputs"]])  # type: ignore[arg-type]
        for x in abi
        if x["type"] == "error"
    }
