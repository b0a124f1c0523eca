"""What members sign: EIP-712 typed data of own words and of co-signed medians, as contracts/src/oracle/Reports.sol
hashes it; and of explanations, which only members read: the contract takes the root that names them as it comes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from eth_abi.abi import encode
from eth_utils.crypto import keccak

DOMAIN_TYPE: Final = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
OWN_WORDS_TYPE: Final = (
    "OwnWords(uint32 epoch,uint32 round,uint16 firstMarket,bytes32 modelSet,bytes32 policy,uint256[] words)"
)
CO_SIGNED_TYPE: Final = (
    "CoSigned(uint32 epoch,uint32 round,uint16 firstMarket,bytes32 modelSet,bytes32 policy,bytes32 evidenceRoot,"
    "uint256[] words)"
)
EXPLANATION_TYPE: Final = (
    "Explanation(uint32 epoch,uint32 round,uint16 firstMarket,bytes32 wordsHash,bytes32 attributionsHash)"
)
UNEXPLAINED: Final = bytes(32)
"""Stands for the explanation of a member that gave none: no keccak is zero."""
ORACLE_NAME: Final = "Margrave"
VERSION: Final = "1"


def domain_separator(chain_id: int, contract: str, name: str = ORACLE_NAME) -> bytes:
    """EIP-712 domain: the same signature is worth nothing on another chain or contract."""
    values = [keccak(text=DOMAIN_TYPE), keccak(text=name), keccak(text=VERSION), chain_id, contract]
    return keccak(encode(["bytes32", "bytes32", "bytes32", "uint256", "address"], values))


def own_words_digest(
    chain_id: int,
    oracle: str,
    epoch: int,
    round: int,  # noqa: A002 - the field's name in the signed type
    first_market: int,
    model_set: bytes,
    policy_digest: bytes,
    words: Sequence[int],
) -> bytes:
    """The 32 bytes to sign for one round.

    Args:
        chain_id: of the chain that the oracle is on.
        oracle: address of the RiskOracle.
        epoch: that binds the round; every change by governance begins a new one.
        round: observed at `round * period`.
        first_market: id of the first market.
        model_set: 32 bytes, the approved set.
        policy_digest: 32 bytes, `mirror.limits.policy_digest`.
        words: risk, market, risk, market, … of consecutive markets; zeros abstain.
    """
    types = ["bytes32", "uint32", "uint32", "uint16", "bytes32", "bytes32", "bytes32"]
    bound = [epoch, round, first_market, model_set, policy_digest, words_hash(words)]
    struct = keccak(encode(types, [keccak(text=OWN_WORDS_TYPE), *bound]))
    return hash_typed_data(domain_separator(chain_id, oracle), struct)


def co_signed_digest(
    chain_id: int,
    oracle: str,
    epoch: int,
    round: int,  # noqa: A002 - the field's name in the signed type
    first_market: int,
    model_set: bytes,
    policy_digest: bytes,
    evidence_root: bytes,
    words: Sequence[int],
) -> bytes:
    """The 32 bytes that a quorum signs for one round.

    Args:
        chain_id: as for own words; so are all but the last two.
        oracle: address of the RiskOracle.
        epoch: that binds the round.
        round: observed at `round * period`.
        first_market: id of the first market.
        model_set: 32 bytes, the approved set.
        policy_digest: 32 bytes, `mirror.limits.policy_digest`.
        evidence_root: 32 bytes, `evidence_root` of the own words that the medians are of.
        words: medians; risk, market, risk, market, … of consecutive markets, zeros where a member abstained.
    """
    types = ["bytes32", "uint32", "uint32", "uint16", "bytes32", "bytes32", "bytes32", "bytes32"]
    bound = [epoch, round, first_market, model_set, policy_digest, evidence_root, words_hash(words)]
    struct = keccak(encode(types, [keccak(text=CO_SIGNED_TYPE), *bound]))
    return hash_typed_data(domain_separator(chain_id, oracle), struct)


def explanation_digest(
    chain_id: int,
    oracle: str,
    epoch: int,
    round: int,  # noqa: A002 - the field's name in the signed type
    first_market: int,
    own_words_hash: bytes,
    attributions_hash: bytes,
) -> bytes:
    """The 32 bytes by which a member binds the explanation of its own words to them.

    Args:
        chain_id: as for own words; so are all but the last two.
        oracle: address of the RiskOracle.
        epoch: that binds the round.
        round: observed at `round * period`.
        first_market: id of the first market.
        own_words_hash: 32 bytes, `words_hash` of what is explained.
        attributions_hash: 32 bytes, `score.attribution.attributions_hash`.
    """
    types = ["bytes32", "uint32", "uint32", "uint16", "bytes32", "bytes32"]
    bound = [epoch, round, first_market, own_words_hash, attributions_hash]
    struct = keccak(encode(types, [keccak(text=EXPLANATION_TYPE), *bound]))
    return hash_typed_data(domain_separator(chain_id, oracle), struct)


def words_hash(words: Sequence[int]) -> bytes:
    """32 bytes: keccak over the packed words, as EIP-712 hashes an array."""
    return keccak(b"".join(word.to_bytes(32, "big") for word in words))


def evidence_root(stated: Sequence[tuple[int, bytes, bytes]]) -> bytes:
    """32 bytes that name own words and why: for each member, in order, its index in one byte, the hash of its words and
    the hash of its explanation, `UNEXPLAINED` where it gave none."""
    return keccak(b"".join(bytes([index]) + own_words + explanation for index, own_words, explanation in stated))


def hash_typed_data(domain: bytes, struct: bytes) -> bytes:
    return keccak(b"\x19\x01" + domain + struct)
