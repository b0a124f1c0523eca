"""Many endpoints as one: the head they agree on, and every read at the hash of that block."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from margrave.collect.chains import multicall
from margrave.collect.chains.abi import Call, one
from margrave.collect.chains.endpoint import Complaint, complaint
from margrave.collect.chains.heads import agree, majority
from margrave.collect.chains.logs import LogFilter
from margrave.collect.chains.multicall import Question
from margrave.collect.chains.reader import Reader
from margrave.collect.source import Trouble
from margrave.errors import Rejected, Transient
from margrave.verdicts import Rejection
from tests.unit.collect.chains.fake import POOL, TOPIC, FakeChain, FakeNode, Now, Reverts, endpoint, reader

NUMBER: Call[int] = Call("number()", "(uint256)", one)
DOUBLE: Call[int] = Call("double(uint256)", "(uint256)", one)
WANTED = LogFilter(frozenset({POOL}), frozenset({TOPIC}))


def chain_of(blocks: int) -> FakeChain:
    chain = FakeChain()
    chain.mine_many(blocks)
    chain.says(POOL, NUMBER, lambda _, number: number.to_bytes(32, "big"))
    chain.says(POOL, DOUBLE, lambda data, _: (2 * int.from_bytes(data, "big")).to_bytes(32, "big"))
    return chain


async def test_reads_are_of_one_block_whatever_is_mined_meanwhile() -> None:
    chain = chain_of(10)
    sweep = await reader(FakeNode(chain)).sweep()
    chain.mine_many(5)
    assert await sweep.ask([Question(POOL, NUMBER)] * 3) == [10, 10, 10]
    assert sweep.block.number == 10


async def test_a_call_names_its_block_by_hash_and_wants_it_canonical() -> None:
    chain = chain_of(3)
    node = FakeNode(chain)
    sweep = await reader(node).sweep()
    await sweep.ask([Question(POOL, NUMBER)])
    where = node.asked[-1][1][1]
    assert where == {"blockHash": "0x" + chain.head.hash.hex(), "requireCanonical": True}


async def test_an_orphaned_block_is_not_read_from() -> None:
    chain = chain_of(10)
    sweep = await reader(FakeNode(chain)).sweep()
    chain.fork(2)
    chain.mine_many(3)
    with pytest.raises(Transient, match="not currently canonical"):
        await sweep.ask([Question(POOL, NUMBER)])


async def test_an_endpoint_that_lags_is_not_heard_and_its_lag_is_kept() -> None:
    chain = chain_of(50)
    late, good, other = FakeNode(chain, behind=20), FakeNode(chain), FakeNode(chain, behind=1)
    over = reader(late, good, other)
    sweep = await over.sweep()
    assert sweep.block.number == 49  # the newest that both who are heard have
    assert [e.name for e in sweep.endpoints] == ["two", "three"]
    assert over.endpoints[0].conduct.lag_blocks == 20


async def test_a_head_ahead_of_everybodys_is_not_believed() -> None:
    chain = chain_of(50)
    liar = FakeNode(
        chain,
        lies=lambda _, params, truth: truth | {"number": hex(9_000)} if params == ["latest", False] else truth,
    )
    sweep = await reader(liar, FakeNode(chain), FakeNode(chain)).sweep()
    assert sweep.block.number == 50
    assert [e.name for e in sweep.endpoints] == ["two", "three"]


async def test_an_endpoint_on_another_chain_of_blocks_is_left_alone() -> None:
    chain, false = chain_of(50), FakeChain(salt=7)
    false.mine_many(50)
    over = reader(FakeNode(false), FakeNode(chain), FakeNode(chain))
    sweep = await over.sweep()
    assert sweep.block.hash == chain.head.hash
    assert over.endpoints[0].conduct.disagreements == 1
    assert over.endpoints[0].resting()


async def test_two_endpoints_that_contradict_each_other_about_a_final_block_are_not_believed() -> None:
    chain, false = chain_of(50), FakeChain(salt=7)
    false.mine_many(50)
    with pytest.raises(Transient, match="contradict each other about final block"):
        await reader(FakeNode(false), FakeNode(chain)).sweep()


async def test_two_forks_of_a_moment_are_no_lie() -> None:
    chain = chain_of(50)
    other = FakeChain()
    other.blocks, other.canonical = dict(chain.blocks), list(chain.canonical)
    other.fork(1)
    other.mine()
    over = reader(FakeNode(chain), FakeNode(other))
    sweep = await over.sweep()
    assert sweep.block.hash == chain.head.hash
    assert [e.name for e in sweep.endpoints] == ["one"]
    assert [e.conduct.disagreements for e in over.endpoints] == [0, 0]


async def test_an_endpoint_of_another_chain_id_is_never_heard() -> None:
    chain = chain_of(5)
    over = reader(FakeNode(chain, chain_id=137), FakeNode(chain))
    assert [e.name for e in (await over.sweep()).endpoints] == ["two"]
    with pytest.raises(Transient, match="is chain 0x89, not 0x1"):
        await reader(FakeNode(chain, chain_id=137)).sweep()


async def test_the_next_endpoint_answers_where_the_first_does_not() -> None:
    chain = chain_of(5)
    first, second = FakeNode(chain), FakeNode(chain)
    sweep = await reader(first, second).sweep()
    first.dead = True
    assert await sweep.ask([Question(POOL, NUMBER)]) == [5]
    assert [method for method, _ in second.asked].count("eth_call") == 1


async def test_a_failed_endpoint_rests_and_comes_back() -> None:
    chain, clock = chain_of(5), Now()
    node = FakeNode(chain, dead=True)
    over = reader(node, clock=clock)
    for _ in range(3):
        with pytest.raises(Transient, match="no RPC endpoint answers"):
            await over.sweep()
    assert len(node.asked) == 1  # the others found it resting
    node.dead = False
    clock.ms += 2_000
    assert (await over.sweep()).block.number == 5


@pytest.mark.parametrize(
    ("fault", "trouble"),
    [
        (
            {
                "jsonrpc": "2.0",
                "id": 1,
                "error": {"code": -32005, "message": "daily request count exceeded, rate limit"},
            },
            Trouble.RATE_LIMITED,
        ),
        ({"jsonrpc": "2.0", "id": 1, "error": {"code": 429, "message": "no"}}, Trouble.RATE_LIMITED),
        (TimeoutError(), Trouble.TIMEOUT),
        (ConnectionResetError(), Trouble.UNREACHABLE),
        ("<html>", Trouble.BAD_STATUS),
        ({"unexpected": 1}, Trouble.BAD_STATUS),
        ([], Trouble.BAD_STATUS),
    ],
)
async def test_trouble_is_named_and_the_next_endpoint_is_asked(fault: object, trouble: Trouble) -> None:
    chain = chain_of(5)
    first, second = FakeNode(chain), FakeNode(chain)
    over = reader(first, second)
    sweep = await over.sweep()
    first.faults.append(fault)
    assert await sweep.ask([Question(POOL, NUMBER)]) == [5]
    assert over.endpoints[0].conduct.trouble is trouble
    assert over.endpoints[0].resting()


async def test_an_endpoints_name_shows_no_key() -> None:
    assert endpoint(FakeNode(FakeChain()), Now(), "user:pass@rpc.example").name == "rpc.example"


async def test_two_keys_at_one_provider_are_two_endpoints() -> None:
    chain, false = chain_of(50), FakeChain(salt=7)
    false.mine_many(50)
    over = Reader(
        [endpoint(FakeNode(c), Now(), "rpc.example") for c in (chain, false, chain)],
        chain_id=1,
        finality_blocks=8,
    )
    assert [e.name for e in over.endpoints] == ["rpc.example", "rpc.example#2", "rpc.example#3"]
    assert [e.name for e in (await over.sweep()).endpoints] == ["rpc.example", "rpc.example#3"]


async def test_witnesses_must_agree() -> None:
    chain = chain_of(5)
    liar = FakeNode(chain, lies=lambda method, _, truth: truth[:-2] + "ff" if method == "eth_call" else truth)
    honest = [FakeNode(chain), FakeNode(chain)]
    sweep = await reader(*honest, witnesses=2).sweep()
    assert await sweep.ask([Question(POOL, NUMBER)]) == [5]
    over = reader(honest[0], liar, witnesses=2)
    sweep = await over.sweep()
    with pytest.raises(Transient, match="contradict each other"):
        await sweep.ask([Question(POOL, NUMBER)])
    assert [e.conduct.disagreements for e in over.endpoints] == [1, 1]


async def test_too_few_witnesses_are_no_answer() -> None:
    chain = chain_of(5)
    sweep = await reader(FakeNode(chain), witnesses=2).sweep()
    with pytest.raises(Transient, match="1 of 2 witnesses"):
        await sweep.ask([Question(POOL, NUMBER)])


async def test_each_read_of_a_batch_fails_by_itself() -> None:
    chain = chain_of(5)

    def refuse(_: bytes, __: int) -> bytes:
        raise Reverts("no such account")

    chain.says(POOL, Call("refuse()", "(uint256)", one), refuse)
    chain.says(POOL, Call("short()", "(uint256)", one), lambda *_: b"\x01")
    sweep = await reader(FakeNode(chain)).sweep()
    answers = await sweep.ask(
        [
            Question(POOL, NUMBER),
            Question(POOL, Call("refuse()", "(uint256)", one)),
            Question(POOL, Call("short()", "(uint256)", one)),
            Question("0x" + "99" * 20, NUMBER),
            Question(POOL, DOUBLE, (21,)),
        ]
    )
    assert answers[0] == 5
    assert answers[4] == 42
    refused = [answer.reason for answer in answers[1:4] if isinstance(answer, Rejected)]
    assert refused == [Rejection.VENUE_ERROR, Rejection.MALFORMED, Rejection.EMPTY]
    assert "no such account" in str(answers[1])


async def test_a_batch_that_is_too_much_is_halved() -> None:
    chain = chain_of(5)
    node = FakeNode(chain, most_gas=40_000)
    sweep = await reader(node).sweep()
    answers = await sweep.ask([Question(POOL, DOUBLE, (n,)) for n in range(100)])
    assert answers == [2 * n for n in range(100)]
    assert [method for method, _ in node.asked].count("eth_call") > 100 // 8


async def test_calls_that_found_no_gas_left_in_their_batch_are_asked_again() -> None:
    chain = chain_of(5)
    node = FakeNode(chain, starves_after=30)
    over = reader(node)
    sweep = await over.sweep()
    questions = [Question(POOL, DOUBLE, (n,)) for n in range(300)]
    assert await sweep.ask(questions) == [2 * n for n in range(300)]
    first = [method for method, _ in node.asked].count("eth_call")
    assert await sweep.ask(questions) == [2 * n for n in range(300)]
    assert [method for method, _ in node.asked].count("eth_call") - first < first  # it has learnt


async def test_a_revert_without_a_reason_stays_one() -> None:
    chain = chain_of(5)
    silent = Call("silent()", "(uint256)", one)
    node = FakeNode(chain, starves_after=0)
    sweep = await reader(node).sweep()

    def refuse(_: bytes, __: int) -> bytes:
        raise Reverts

    chain.says(POOL, silent, refuse)
    answers = await sweep.ask([Question(POOL, silent), Question(POOL, NUMBER)])
    assert isinstance(answers[0], Rejected)
    assert answers[1] == 5


async def test_a_chain_without_multicall_is_asked_one_by_one() -> None:
    chain = chain_of(5)
    chain.has_multicall = False
    node = FakeNode(chain)
    sweep = await reader(node).sweep()
    for _ in range(2):
        assert await sweep.ask([Question(POOL, DOUBLE, (n,)) for n in range(4)]) == [0, 2, 4, 6]
    assert [method for method, _ in node.asked].count("eth_call") == 1 + 4 + 4


async def test_too_many_results_halve_the_range_until_it_fits() -> None:
    chain = FakeChain()
    for number in range(200):
        chain.mine(number)
    node = FakeNode(chain, most_logs=10)
    over = reader(node)
    sweep = await over.sweep()
    found, at = [], 1
    while at <= 200:
        logs, until = await over.logs_of_range(WANTED, at, 200, sweep.endpoints)
        found += logs
        at = until + 1
    assert [int.from_bytes(log.data, "big") for log in found] == list(range(200))


async def test_one_block_that_is_too_much_by_itself_is_told() -> None:
    chain = FakeChain()
    chain.mine(*range(30))
    over = reader(FakeNode(chain, most_logs=10))
    sweep = await over.sweep()
    with pytest.raises(Transient, match="more than 10 results"):
        await over.logs_of_range(WANTED, 1, 1, sweep.endpoints)


async def test_logs_that_nobody_asked_for_are_left_out_and_repeats_counted_once() -> None:
    chain = FakeChain()
    chain.mine(1, 2)
    stranger = chain.head.logs[0] | {"address": "0x" + "66" * 20}

    def add(method: str, _: object, truth: object) -> object:
        return [*truth, *truth, stranger] if method == "eth_getLogs" and isinstance(truth, list) else truth

    over = reader(FakeNode(chain, lies=add))
    sweep = await over.sweep()
    logs, _ = await over.logs_of_range(WANTED, 1, 1, sweep.endpoints)
    assert [int.from_bytes(log.data, "big") for log in logs] == [1, 2]


async def test_a_log_of_another_range_is_refused() -> None:
    chain = FakeChain()
    chain.mine(1)
    chain.mine(2)

    def shift(method: str, _: object, truth: object) -> object:
        return (
            [log | {"blockNumber": "0x63"} for log in truth]
            if method == "eth_getLogs" and isinstance(truth, list)
            else truth
        )

    over = reader(FakeNode(chain, lies=shift))
    sweep = await over.sweep()
    with pytest.raises(Transient, match="a log of block 99"):
        await over.logs_of_range(WANTED, 1, 2, sweep.endpoints)


async def test_a_header_with_another_hash_is_a_lie() -> None:
    chain = chain_of(5)

    def swap(method: str, _: object, truth: object) -> object:
        return chain.blocks[chain.canonical[1]].header() if method == "eth_getBlockByHash" else truth

    over = reader(FakeNode(chain, lies=swap))
    sweep = await over.sweep()
    with pytest.raises(Transient, match="contradicts the others"):
        await over.block_by_hash(chain.canonical[3], sweep.endpoints)


def test_the_reference_head_is_the_upper_median() -> None:
    assert agree([("a", 100), ("b", 100), ("c", 40)]).heard == ("a", "b")
    assert agree([("a", 100), ("b", 9_000), ("c", 101)]).heard == ("a", "c")
    assert agree([("a", 90), ("b", 100)]).left_out == (("a", "10 blocks behind the others"),)
    assert agree([("a", 98), ("b", 100)]).number == 98


@given(st.lists(st.integers(0, 10**7), min_size=3, max_size=9), st.integers(0, 10**9))
def test_one_head_among_three_or_more_never_decides_alone(honest: list[int], lie: int) -> None:
    level = [honest[0]] * len(honest)
    agreed = agree([("liar", lie), *((str(at), head) for at, head in enumerate(level))])
    assert abs(agreed.number - honest[0]) <= 3


def test_a_majority_is_more_than_half() -> None:
    a, b = b"a" * 32, b"b" * 32
    assert majority([("x", a), ("y", a), ("z", b)]) == (a, ("z",))
    assert majority([("x", a), ("y", b)]) == (None, ("x", "y"))
    assert majority([("x", a)]) == (a, ())


@pytest.mark.parametrize(
    ("message", "meant"),
    [
        ("query returned more than 10000 results. Try with this block range [0x1, 0x2].", Complaint.TOO_WIDE),
        (
            "Log response size exceeded. You can make eth_getLogs requests with up to a 2K block range",
            Complaint.TOO_WIDE,
        ),
        ("exceed maximum block range: 50000", Complaint.TOO_WIDE),
        ("query exceeds max results 20000, retry with the range 1-2", Complaint.TOO_WIDE),
        ("eth_getLogs is limited to a 10,000 range", Complaint.TOO_WIDE),
        ("Your app has exceeded its compute units per second capacity.", Complaint.RATE_LIMITED),
        ("Too many requests, please try again later", Complaint.RATE_LIMITED),
        ("header not found", Complaint.UNKNOWN_BLOCK),
        ("missing trie node 1a2b (path )", Complaint.UNKNOWN_BLOCK),
        ("hash 0xabc is not currently canonical", Complaint.UNKNOWN_BLOCK),
        ("execution reverted: Ownable", Complaint.REVERTED),
        ("out of gas", Complaint.REVERTED),
        ("the method eth_foo does not exist/is not available", Complaint.UNSUPPORTED),
        ("something new", Complaint.OTHER),
    ],
)
def test_errors_of_all_dialects_say_what_to_do(message: str, meant: Complaint) -> None:
    assert complaint({"code": -32000, "message": message})[0] is meant


@pytest.mark.parametrize("error", [None, "", 5, [], {}, {"code": "x", "message": None}, {"message": {"a": 1}}])
def test_an_error_of_any_form_is_taken(error: object) -> None:
    assert complaint(error)[0] in Complaint


@given(st.binary(max_size=400), st.integers(0, 5))
def test_no_answer_breaks_the_multicall_decoder_or_makes_it_hold_more_than_was_sent(data: bytes, count: int) -> None:
    try:
        read = multicall.results(data, count)
    except Rejected:
        return
    assert sum(len(body) for _, body in read) <= len(data)


def test_overlapping_answers_are_refused() -> None:
    # Attack: a thousand answers that all point at one blob would make a naive decoder hold a thousand copies.
    word = (32).to_bytes(32, "big")
    blob = (1).to_bytes(32, "big") + (64).to_bytes(32, "big") + (32_000).to_bytes(32, "big") + bytes(32_000)
    data = word + (1_000).to_bytes(32, "big") + (1_000 * 32).to_bytes(32, "big") * 1_000 + blob
    with pytest.raises(Rejected, match="aggregate3"):
        multicall.results(data, 1_000)
