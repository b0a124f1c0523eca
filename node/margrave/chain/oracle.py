"""The RiskOracle contract as this node uses it: read all of it in one call, build and try a publication."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from eth_abi.abi import decode as abi_decode
from eth_abi.exceptions import DecodingError
from eth_typing import HexAddress, HexStr
from eth_utils.abi import event_abi_to_log_topic, function_abi_to_4byte_selector
from hexbytes import HexBytes
from web3 import Web3
from web3.exceptions import ContractCustomError, ContractLogicError, Web3RPCError
from web3.types import Nonce, TxParams
from web3.utils.address import get_create_address

from margrave import lanes
from margrave.chain import artifacts, settings_blob
from margrave.chain.rpc import Rpc
from margrave.errors import Fatal, Rejected, Transient
from margrave.lanes import Words
from margrave.messages import AnyBundle, Attestation, Bundle, ChainState, CoSignature, Epoch, OnchainMarket
from margrave.mirror.typed_data import evidence_root
from margrave.verdicts import MarketStatus, Rejection

STATUSES: Final = tuple(MarketStatus)
"""In the order of `IRiskOracle.Status`."""


class Oracle:
    """One deployed RiskOracle and its settings. Reads are of the newest block of whichever endpoint answers."""

    def __init__(self, rpc: Rpc, address: str) -> None:
        self.address = Web3.to_checksum_address(address)
        self._rpc = rpc
        self._abi = artifacts.load("RiskOracle").abi
        self._contract = Web3().eth.contract(address=self.address, abi=self._abi)
        self._errors = _by_selector(self._abi)
        # Encoded once: a contract object a call costs more than the call.
        self._state_call = self._contract.encode_abi("state")
        self._epochs: dict[int, Epoch] = {}
        self._registry: str | None = None
        self._state_types = [_abi_type(x) for x in _function(self._abi, "state")["outputs"]]

    async def state(self) -> ChainState:
        """Every market and the epochs in force and to come, at one block.

        What an epoch's settings say never changes: they are read once, from their blob.

        Raises:
            Fatal: there is no RiskOracle at the address, or governance has set nothing yet.
            Transient: no endpoint answers, or one tells of settings that are not on chain.
        """
        call: TxParams = {"to": self.address, "data": self._state_call}
        try:
            answer = await self._rpc.use(lambda w: w.eth.call(call))
            (told,) = abi_decode(self._state_types, answer)
        except (ContractLogicError, DecodingError) as error:
            raise Fatal(
                f"no RiskOracle at {self.address}", advice="correct chain.oracle in node.toml, or deploy first"
            ) from error
        block, time_s, period_s, _, _, history_hash, current, following, markets = told
        if current[0] == 0:
            raise Fatal(f"the oracle at {self.address} has no settings yet", advice="ask governance for a first epoch")
        return ChainState(
            block=block,
            block_time_s=time_s,
            period_s=period_s,
            history_hash=history_hash,
            epoch=await self._told(*current),
            next_epoch=await self._told(*following) if following[0] else None,
            next_from_round=following[1],
            markets=tuple(_market(*market) for market in markets),
        )

    async def _told(self, number: int, _from_round: int, *told: Any) -> Epoch:
        """An epoch's settings, if they are those that the oracle tells of at the block that was read."""
        _, _, quorum, model_set, policy_digest, _, members = told

        def same(epoch: Epoch | None) -> bool:
            return epoch is not None and (epoch.quorum, epoch.model_set, epoch.policy_digest, epoch.members) == (
                quorum,
                model_set,
                policy_digest,
                tuple(Web3.to_checksum_address(member) for member in members),
            )

        if not same(self._epochs.get(number)):  # a reorganisation may have put others in their place
            self._epochs.pop(number, None)
        epoch = await self.settings(number)
        if epoch is None or not same(epoch):
            raise Transient(
                f"the settings of epoch {number} are not those that the oracle tells of",
                advice="another RPC endpoint, if this lasts: this one lags behind itself",
            )
        return epoch

    async def settings(self, number: int) -> Epoch | None:
        """The settings of an epoch, past, present or to come; `None` where there is none."""
        if number not in self._epochs:
            registry = await self.registry()
            where = get_create_address(HexAddress(HexStr(registry)), Nonce(number))  # it creates nothing but blobs
            code = bytes(await self._rpc.use(lambda w: w.eth.get_code(where)))
            try:
                self._epochs[number] = settings_blob.decode(number, code)
            except Rejected:
                return None
        return self._epochs[number]

    def calldata(self, bundle: AnyBundle, epoch: Epoch) -> bytes:
        """What publishes a bundle: signatures in the order of the epoch's list, and one row of words or a row each."""
        if isinstance(bundle, Bundle):
            words = [word for a in bundle.attestations for word in a.words]
            encoded = self._contract.encode_abi(
                "publish", args=[bundle.round, bundle.first_market, *_signed(bundle.attestations, epoch), words]
            )
        else:
            stated = [
                (epoch.members.index(each.member), each.words_hash, each.explanation_hash)
                for each in bundle.proposal.stated
            ]
            encoded = self._contract.encode_abi(
                "publishCoSigned",
                args=[
                    bundle.round,
                    bundle.first_market,
                    *_signed(bundle.signatures, epoch),
                    evidence_root(stated),
                    bundle.proposal.words,
                ],
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

    async def registry(self) -> str:
        """Where governance's settings come from; an oracle never has another."""
        if self._registry is None:
            call: TxParams = {"to": self.address, "data": self._contract.encode_abi("registry")}
            answer = await self._rpc.use(lambda w: w.eth.call(call))
            self._registry = str(Web3.to_checksum_address(bytes(answer)[-20:]))
        return self._registry

    def topic(self, event: str) -> str:
        """The first topic of an event's log entries."""
        entry = next(x for x in self._abi if x["type"] == "event" and x["name"] == event)
        return "0x" + bytes(event_abi_to_log_topic(entry)).hex()  # type: ignore[arg-type]

    def decoded(self, data: bytes) -> tuple[str, Mapping[str, Any]]:
        """Function and arguments of calldata."""
        function, arguments = self._contract.decode_function_input(HexBytes(data))
        return str(function.fn_name), arguments

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


def _signed(signatures: Sequence[Attestation] | Sequence[CoSignature], epoch: Epoch) -> tuple[int, list[bytes]]:
    """Bitmap of the members who signed, and their signatures in halves."""
    bitmap = sum(1 << epoch.members.index(each.member) for each in signatures)
    return bitmap, [half for each in signatures for half in (each.signature[:32], each.signature[32:])]


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
