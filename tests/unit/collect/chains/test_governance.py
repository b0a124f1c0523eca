from __future__ import annotations

from typing import Any

import pytest
from eth_abi.abi import encode as abi_encode
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from margrave.chain.deployment.administration import AUTHORITY
from margrave.chain.deployment.network import load_network
from margrave.chain.deployment.plan import plan
from margrave.chain.deployment.proposal import announced
from margrave.chain.deployment.roles import PERMISSIONS
from margrave.collect.chains import calldata, governance
from margrave.collect.chains.abi import Call, Event
from margrave.collect.chains.governance import (
    AAVE_PROPOSAL_CREATED,
    PROPOSAL_CREATED,
    TOPICS,
    GovernanceWatcher,
    decision_of,
    proposal_of,
)
from margrave.collect.chains.logs import Log
from margrave.errors import Rejected
from margrave.messages import EVERY_MARKET, NoticeReading
from margrave.settings import PROJECT_ROOT
from margrave.verdicts import Rejection
from tests.unit.collect.chains.made import CONTRACT, HASH, RECEIVER, SENDER, encoded, log, words

CREATED_TYPES = ["uint256", "address", "address[]", "uint256[]", "string[]", "bytes[]", "uint256", "uint256", "string"]


def call(signature: str, *arguments: Any) -> bytes:
    return Call[Any](signature, "()", lambda *_: None).encode(*arguments)


def created(
    actions: list[tuple[str, int, str, bytes]], description: str = "# Raise the cap\n\nBecause.", number: int = 42
) -> Log:
    targets, values, signatures, datas = ([action[at] for action in actions] for at in range(4))
    told = (number, SENDER, targets, values, signatures, datas, 100, 200, description)
    return log(PROPOSAL_CREATED, encoded(CREATED_TYPES, *told))


def text_of(told: Log) -> str:
    decided = decision_of(told)
    assert decided is not None
    return decided[1]


def test_a_proposal_of_openzeppelins_governor_is_told_with_its_calls_decoded() -> None:
    cap = call("setSupplyCap(address,uint256)", RECEIVER, 1_000)
    told = created([(CONTRACT, 0, "", cap), (RECEIVER, 15 * 10**17, "", b"")])
    assert decision_of(told) == (
        "governance.proposal.created",
        f"proposal 42 by {SENDER}: {CONTRACT}.setSupplyCap({RECEIVER}, 1000); {RECEIVER}.payment with 1.5 ether: "
        "# Raise the cap Because.",
    )
    assert (proposal_of(told).begins, proposal_of(told).ends) == (100, 200)


def test_compounds_governor_states_the_function_beside_data_that_have_no_selector() -> None:
    data = call("_setCollateralFactor(address,uint256)", RECEIVER, 8 * 10**17)[4:]
    told = created([(CONTRACT, 0, "_setCollateralFactor(address,uint256)", data)])
    assert f"{CONTRACT}._setCollateralFactor({RECEIVER}, 800000000000000000)" in text_of(told)


def test_a_function_that_is_not_known_is_named_by_its_first_bytes_or_its_own_words() -> None:
    assert f"{CONTRACT}.0xdeadbeef(36 bytes)" in text_of(created([(CONTRACT, 0, "", b"\xde\xad\xbe\xef" + bytes(32))]))
    strange = "f(uint256[99999999][99999999])"
    assert f"{CONTRACT}.{strange}" in text_of(created([(CONTRACT, 0, strange, bytes(32))]))


def test_a_known_function_with_data_that_are_not_its_own_is_named_by_its_first_bytes() -> None:
    selector = call("setSupplyCap(address,uint256)", RECEIVER, 1)[:4]
    assert f"0x{selector.hex()}(9 bytes)" in text_of(created([(CONTRACT, 0, "", selector + bytes(5))]))


def test_a_call_within_a_timelocks_batch_is_opened_and_only_so_deep() -> None:
    pause = call("pause()")
    batch = "scheduleBatch(address[],uint256[],bytes[],bytes32,bytes32,uint256)"
    once = call(batch, [CONTRACT], [0], [pause], bytes(32), bytes(32), 60)
    assert calldata.action(SENDER, 0, once) == f"{SENDER}.scheduleBatch[{CONTRACT}.pause()]"
    deep = once
    for _ in range(5):
        deep = call(batch, [SENDER], [0], [deep], bytes(32), bytes(32), 60)
    assert calldata.action(SENDER, 0, deep).count("scheduleBatch[") == calldata.DEEPEST
    with_signature = call(
        "executeTransaction(address,uint256,string,bytes,uint256)", CONTRACT, 0, "pause()", b"", 1_700_000_000
    )
    assert calldata.action(SENDER, 0, with_signature) == f"{SENDER}.executeTransaction[{CONTRACT}.pause()]"


def test_both_strokes_of_a_slow_vote_on_our_own_contracts_are_opened_to_the_call_itself() -> None:
    epoch = call("setEpoch(address[],uint8,bytes32,uint32)", [RECEIVER], 1, bytes(32), 0)
    actions, _ = announced(SENDER, RECEIVER, CONTRACT, epoch, wait_s=259_200, salt=bytes(32))
    told = f"{CONTRACT}.setEpoch([{RECEIVER}], 1, 0x{bytes(32).hex()}, 0)"
    assert [calldata.action(each.target, 0, each.data) for each in actions] == [
        f"{SENDER}.schedule[{told}]",
        f"{RECEIVER}.schedule[{SENDER}.execute[{told}]]",
    ]
    grant = calldata.action(SENDER, 0, call("grantRole(uint64,address,uint32)", 1, RECEIVER, 0))
    assert grant == f"{SENDER}.grantRole(1, {RECEIVER}, 0)"


def test_every_contract_that_a_vote_may_reach_is_known() -> None:
    blueprint = plan(load_network(PROJECT_ROOT / "config" / "networks" / "local.toml", SENDER)[1], bytes(32))
    reached = {blueprint.contracts[key].artifact for key in (AUTHORITY, *PERMISSIONS)}
    assert reached == set(calldata.OWN_CONTRACTS)


def test_our_own_contracts_calls_are_known() -> None:
    names = {known.name for known in calldata.known().values()}
    assert {"publish", "pause", "transferOwnership"} <= names
    assert any("Model" in name or "model" in name for name in names), "governance approves model sets"


def test_strangers_words_reach_no_terminal_and_are_cut() -> None:
    text = text_of(created([], description="\x1b[31mred\x1b[0m\n\n" + "long " * 1_000))
    assert "\x1b" not in text
    assert "\n" not in text
    assert len(text) < 250
    assert "no action" in text


def test_only_the_first_actions_are_written_out() -> None:
    assert "; and 6 more" in text_of(created([(CONTRACT, 0, "", call("pause()"))] * 10))


@pytest.mark.parametrize(
    ("event", "data", "indexed", "topic", "part"),
    [
        ("ProposalQueued(uint256 a, uint256 b)", words(42, 1_700_000_000), (), "proposal.queued", "42 queued, may be"),
        ("ProposalExecuted(uint256 a)", words(42), (), "proposal.executed", "proposal 42 executed"),
        ("ProposalExecuted(uint256 indexed a)", "0x", ("2a",), "proposal.executed", "proposal 42 executed"),
        ("ProposalCanceled(uint256 a)", words(42), (), "proposal.canceled", "proposal 42 canceled"),
        ("MinDelayChange(uint256 a, uint256 b)", words(60, 120), (), "timelock.delay", "from 60 s to 120 s"),
        ("NewDelay(uint256 indexed a)", "0x", ("78",), "timelock.delay", "the delay is 120 s"),
        ("Cancelled(bytes32 indexed a)", "0x", (HASH,), "timelock.canceled", "0xabababababab is withdrawn"),
        (
            "CallScheduled(bytes32 indexed a, uint256 indexed b, address c, uint256 d, bytes e, bytes32 f, uint256 g)",
            encoded(
                ["address", "uint256", "bytes", "bytes32", "uint256"], CONTRACT, 0, call("pause()"), bytes(32), 3_600
            ),
            (HASH, "1"),
            "timelock.scheduled",
            f"0xabababababab/1 in 3600 s: {CONTRACT}.pause()",
        ),
        (
            "CallExecuted(bytes32 indexed a, uint256 indexed b, address c, uint256 d, bytes e)",
            encoded(["address", "uint256", "bytes"], CONTRACT, 10**18, b""),
            (HASH, "0"),
            "timelock.executed",
            f"{CONTRACT}.payment with 1 ether",
        ),
        (
            "QueueTransaction(bytes32 indexed a, address indexed b, uint256 c, string d, bytes e, uint256 f)",
            encoded(["uint256", "string", "bytes", "uint256"], 0, "setDelay(uint256)", bytes(31) + b"\x05", 99),
            (HASH, CONTRACT),
            "timelock.scheduled",
            f"0xabababababab for 99 (Unix s): {CONTRACT}.setDelay(5)",
        ),
        (
            "ProposalCreated(uint256 indexed a, address indexed b, uint8 indexed c, bytes32 d)",
            HASH,
            ("7", SENDER, "1"),
            "proposal.created",
            f"proposal 7 by {SENDER}, access level 1: IPFS abab",
        ),
    ],
)
def test_each_event_of_governors_and_timelocks_is_told(
    event: str, data: str, indexed: tuple[str, ...], topic: str, part: str
) -> None:
    told = log(Event[Any](event, lambda *_: None), data, *indexed)
    assert told.topics[0] in TOPICS
    decided = decision_of(told)
    assert decided is not None
    assert decided[0] == f"governance.{topic}"
    assert part in decided[1]


def test_aaves_proposal_names_its_content_by_hash() -> None:
    cap = call("setSupplyCap(address,uint256)", RECEIVER, 1)
    kinds = [
        *("uint256", "address[]", "uint256[]", "string[]", "bytes[]", "bool[]"),
        *("uint256", "uint256", "address", "bytes32"),
    ]
    data = encoded(kinds, 5, [CONTRACT], [0], [""], [cap], [False], 10, 20, RECEIVER, b"\xcd" * 32)
    text = text_of(log(AAVE_PROPOSAL_CREATED, data, SENDER, RECEIVER))
    assert text.startswith(f"proposal 5 by {SENDER}: {CONTRACT}.setSupplyCap({RECEIVER}, 1): IPFS cdcd")


def test_the_topics_are_those_that_the_contracts_log() -> None:
    """As indexers list them."""
    assert PROPOSAL_CREATED.topic.hex() == "7d84a6263ae0d98d3329bd7b46bb4e8d6f98cd35a7adb45c274c8b7fd5ebd5e0"
    for signature in (
        "CallScheduled(bytes32,uint256,address,uint256,bytes,bytes32,uint256)",
        "CallExecuted(bytes32,uint256,address,uint256,bytes)",
        "ProposalQueued(uint256,uint256)",
        "ExecuteTransaction(bytes32,address,uint256,string,bytes,uint256)",
    ):
        assert keccak(text=signature) in TOPICS


def test_what_decides_nothing_is_nothing() -> None:
    assert decision_of(log(b"\1" * 32)) is None


# --- bad input ------------------------------------------------------------------------------------------------------


def test_overlapping_pointers_never_hold_more_than_the_log() -> None:
    """A thousand calls that all point at one of 30 kB would be 30 MB to a general decoder."""
    blob = bytes(30_000)
    head = abi_encode(["uint256"] * 9, [1, 1, 288, 288, 288, 288 + 32 * 201, 0, 0, 288])
    empty_like = (200).to_bytes(32, "big") + b"".join((6_400).to_bytes(32, "big") for _ in range(200))
    overlapping = empty_like + (30_000).to_bytes(32, "big") + blob
    with pytest.raises(Rejected) as refused:
        proposal_of(log(PROPOSAL_CREATED, "0x" + (head + empty_like + overlapping).hex()))
    assert refused.value.reason is Rejection.MALFORMED


@pytest.mark.parametrize(
    "data",
    [
        "0x",
        words(1),
        words(*[1] * 9),
        words(1, 1, 1 << 200, 0, 0, 0, 0, 0, 0),
        words(1, 1, *[288] * 4, 0, 0, 288, (1 << 255) - 1),
    ],
)
def test_a_proposal_that_is_cut_or_points_astray_is_refused(data: str) -> None:
    with pytest.raises(Rejected):
        proposal_of(log(PROPOSAL_CREATED, data))


def test_a_proposal_of_very_many_actions_is_refused() -> None:
    with pytest.raises(Rejected, match="300 actions"):
        proposal_of(created([(CONTRACT, 0, "", b"")] * 300))


@given(st.binary(max_size=1_200), st.sampled_from(sorted(TOPICS)), st.integers(0, 3))
def test_no_bytes_whatsoever_are_anything_but_a_decision_or_a_refusal(data: bytes, topic: bytes, indexed: int) -> None:
    told = log(topic, "0x" + data.hex(), *["2a"] * indexed)
    try:
        decided = decision_of(told)
    except Rejected:
        return
    assert decided is None or (decided[0].startswith("governance.") and decided[1])


@given(st.binary(max_size=600), st.sampled_from(sorted(calldata.known())))
def test_no_calldata_whatsoever_stop_the_telling(data: bytes, selector: bytes) -> None:
    assert calldata.action(CONTRACT, 0, selector + data).startswith(CONTRACT)


# --- watching -------------------------------------------------------------------------------------------------------


def test_a_watcher_tells_each_market_that_its_operator_named() -> None:
    watcher = GovernanceWatcher(chain_id=1, contracts={CONTRACT: ("BTC", "ETH"), SENDER: ()})
    told = created([])
    assert watcher.wanted().wants(told)
    notices = heard(watcher, told)
    assert [(n.market, n.source, n.instrument) for n in notices] == [
        ("BTC", "governance:1", CONTRACT),
        ("ETH", "governance:1", CONTRACT),
    ]
    empty = encoded(CREATED_TYPES, 1, SENDER, [], [], [], [], 0, 0, "")
    (every,) = heard(watcher, log(PROPOSAL_CREATED, empty, address=SENDER))
    assert (every.market, every.topic) == (EVERY_MARKET, governance.CREATED)


def heard(watcher: GovernanceWatcher, told: Log) -> list[NoticeReading]:
    items = list(watcher.heard(told, 1_700_000_000_000))
    notices = [item for item in items if isinstance(item, NoticeReading)]
    assert len(notices) == len(items)
    return notices
