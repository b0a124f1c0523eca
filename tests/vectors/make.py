"""Writes the JSON vectors that Solidity and Python are both held to: `.venv/bin/python -m tests.vectors.make`.

They are columns rather than rows, because that is what Foundry reads quickly; big integers are hexadecimal strings.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any, Final

from eth_keys.datatypes import PrivateKey
from eth_typing import HexAddress, HexStr
from eth_utils.crypto import keccak
from web3.types import Nonce
from web3.utils.address import get_create_address

from margrave import lanes, settings
from margrave.lanes import LANE_MAX, LANES, Words
from margrave.mirror import ageing, black76, history, limits, medians, portfolio, typed_data
from margrave.mirror.fixed_point import ONE, WAD, exp, ln, ln_wad, sqrt
from margrave.mirror.words import FIELDS, HALT, RESUMED, stamped
from margrave.verdicts import HaltReason, ReportKind, SkipReason
from tests.vectors.account_risk import account_risk_vectors
from tests.vectors.clearinghouse import clearinghouse_vectors

FOLDER: Final = Path(__file__).parent
DEPLOYER: Final = "0x00000000000000000000000000000000000d3910"
NOW_S: Final = 1_800_000_000
PRIVATE_KEYS: Final = (0xA1, 0xB2, 0xC3, 0xD4)
HALTS: Final = tuple(HaltReason)
SKIPS: Final = tuple(SkipReason)

Vectors = dict[str, Any]


def make() -> dict[str, Vectors]:
    """All vectors by file name; the same at every call."""
    rng = random.Random("margrave vectors")
    return {
        "words": words_vectors(rng),
        "medians": medians_vectors(rng),
        "limits": limits_vectors(rng),
        "digests": digests_vectors(rng),
        "numbers": numbers_vectors(rng),
        "margin": margin_vectors(rng),
        "clearinghouse": clearinghouse_vectors(),
        "account_risk": account_risk_vectors(),
        "ageing": ageing_vectors(random.Random("margrave ageing")),
    }


def honest(rng: random.Random, price_usd: float | None = None) -> Words:
    """Words that an honest node could sign."""

    def ladder(scale: float) -> list[float]:
        rungs = [scale]
        for _ in range(4):
            rungs.append(rungs[-1] * rng.uniform(1.05, 1.5))
        return rungs

    values = dict(zip(lanes.ASCENDING[0], ladder(rng.uniform(0.005, 0.1)), strict=True))
    values |= dict(zip(lanes.ASCENDING[1], ladder(rng.uniform(0.005, 0.1)), strict=True))
    sigma = rng.uniform(0.2, 1.5)
    for name, days in lanes.TENORS_DAYS.items():
        values[name] = sigma * (days / 365) ** 0.5
    values |= {
        "vol_up": rng.uniform(0.05, 1.5),
        "vol_down": rng.uniform(0.05, 0.6),
        "liquidity": rng.uniform(0, 0.02),
        "cascade_probability": rng.random(),
        "cascade_size": rng.uniform(0, 0.3),
        "contagion": rng.uniform(0, 0.05),
        "score": rng.uniform(0, 10_000),
        "confidence": rng.uniform(0.05, 1),
        "ssvi_rho": rng.uniform(-0.9, 0.9),
        "ssvi_wing": rng.uniform(0.05, 2),
        "ssvi_decay": rng.uniform(0.01, 0.5),
        "basis": rng.uniform(-0.3, 0.5),
    }
    return lanes.encode(values, price_usd or 10 ** rng.uniform(-1, 5))


def ageing_vectors(rng: random.Random) -> Vectors:
    """Stored words at every age, tightened; some at the bounds of their lanes."""
    rows = []
    for case in range(60):
        words = stamped(honest(rng), NOW_S, limited=bool(case % 2), model_set_index=case)
        if case % 5 == 0:
            words = Words(risk=words.risk | LANE_MAX << LANES["down_es999"].shift, market=words.market)
        if case % 7 == 0:
            words = Words(words.risk, _with(words.market, "confidence", 10_000))
        aging_s = rng.randrange(1, 10_000)
        stale_s = aging_s + rng.randrange(1, 20_000)
        ages = (aging_s, aging_s + 1, stale_s - 1, stale_s, 10**9, *(rng.randrange(30_000) for _ in range(5)))
        age_s = ages[case % 10]
        share = ageing.share_up(age_s, aging_s, stale_s)
        rows.append((words, (age_s, aging_s, stale_s), share, ageing.tightened_up(words, share)))
    return {
        "risk": _hex(words.risk for words, *_ in rows),
        "market": _hex(words.market for words, *_ in rows),
        "age": [times[0] for _, times, *_ in rows],
        "agingAfter": [times[1] for _, times, *_ in rows],
        "staleAfter": [times[2] for _, times, *_ in rows],
        "share": [share for *_, share, _ in rows],
        "tightenedRisk": _hex(words.risk for *_, words in rows),
        "tightenedMarket": _hex(words.market for *_, words in rows),
    }


def words_vectors(rng: random.Random) -> Vectors:
    rows = [honest(rng) for _ in range(12)]
    names = [lane.name for lane in LANES.values() if not lane.stamped]
    return {
        "risk": _hex(row.risk for row in rows),
        "market": _hex(row.market for row in rows),
        "price": _hex(row.market >> lanes.PRICE_SHIFT for row in rows),
        **{name: [lanes.raw(row, name) for row in rows] for name in names},
    }


def medians_vectors(rng: random.Random) -> Vectors:
    counts, risks, markets, wanted = [], [], [], []
    for n in range(1, 32):
        rows = [honest(rng) for _ in range(n)]
        result = medians.medians(rows)
        assert result is not None
        counts.append(n)
        risks += [row.risk for row in rows]
        markets += [row.market for row in rows]
        wanted.append(result)
    return {
        "count": counts,
        "risk": _hex(risks),
        "market": _hex(markets),
        "medianRisk": _hex(row.risk for row in wanted),
        "medianMarket": _hex(row.market for row in wanted),
    }


def limits_vectors(rng: random.Random) -> Vectors:
    """Pairs of old and new words over every span of time: ordinary, wild, first, resumed, halted and paused ones, and
    ones that the policy must refuse or skip."""
    policy, own = policy_words(), random.Random("margrave limits")
    olds, news, whens, results = [], [], [], []
    for case in range(360):
        source = rng if case < 60 else own  # the first draws are shared with the vectors that follow
        old = honest(source)
        new = honest(source, lanes.price_usd(old) * source.uniform(0.9, 1.1) * (2.5 if case % 12 == 0 else 1))
        olds.append(_stored(case, old))
        news.append(_turned(case, new, policy))
        elapsed = own.choice((0, 1, 299, 300, 900, 3_600, 86_399, 86_400, 200_000))
        whens.append((NOW_S + elapsed, own.choice((0, 300, 900)), own.random() < 0.25))
        results.append(_judged(olds[-1], news[-1], policy, whens[-1]))
    assert {result.halt for result in results} == {None, *HALTS}
    assert {result.skip for result in results} == {None, *SKIPS} - {SkipReason.GROUP}
    assert {result.limited for result in results} == {False, True}
    return {
        "policy": _hex(astuple(policy)),
        "oldRisk": _hex(old.risk for old in olds),
        "oldMarket": _hex(old.market for old in olds),
        "risk": _hex(row.risk for row in news),
        "market": _hex(row.market for row in news),
        "observedAt": [at for at, _, _ in whens],
        "minInterval": [interval for _, interval, _ in whens],
        "paused": [int(paused) for _, _, paused in whens],
        "halt": [0 if row.halt is None else 1 + HALTS.index(row.halt) for row in results],
        "skip": [0 if row.skip is None else 1 + SKIPS.index(row.skip) for row in results],
        "limited": [int(row.limited) for row in results],
        "heldRisk": _hex(row.words.risk for row in results),
        "heldMarket": _hex(row.words.market for row in results),
    }


def _stored(case: int, old: Words) -> Words:
    if case % 12 == 3:
        old = Words(risk=old.risk | 0x7FFF << LANES["down_es999"].shift, market=old.market)
    if case % 12 == 5:
        return Words(risk=0, market=0)
    kept = stamped(old, NOW_S, limited=bool(case % 2), model_set_index=case % 512)
    flag = {6: HALT, 7: RESUMED}.get(case % 24, 0)
    return Words(risk=kept.risk, market=kept.market | flag << LANES["flags"].shift)


def _turned(number: int, new: Words, policy: limits.PolicyWords) -> Words:
    """What a quorum might come to say instead of ordinary words."""
    match number % 12:
        case 1:
            return Words(risk=new.risk & ~(0x7FFF << LANES["up_es999"].shift), market=new.market)
        case 2:
            return Words(risk=new.risk | 0x7FFF << LANES["cascade_size"].shift, market=new.market)
        case 4:
            return Words(new.risk, _with(new.market, "total_vol_30d", lanes.raw(new, "total_vol_7d") - 1))
        case 8:
            floor = lanes.raw(Words(policy.risk_low, policy.market_low), "confidence")
            return Words(new.risk, _with(new.market, "confidence", floor - (number % 24 == 8)))
        case 9:
            return Words(0, new.market) if number % 24 == 9 else Words(new.risk, 0)
        case _:
            return new


def _judged(old: Words, new: Words, policy: limits.PolicyWords, when: tuple[int, int, bool]) -> limits.Judged:
    observed_at_s, interval_s, paused = when
    return limits.judge(old, new, policy, observed_at_s=observed_at_s, min_interval_s=interval_s, paused=paused)


def digests_vectors(rng: random.Random) -> Vectors:
    """Two publications by three of four members, made with this package alone, for the contract to accept: one of own
    words, and in the epoch after it a co-signed one of their medians; with the history hash after each."""
    policy = settings.load_policy(settings.POLICY_FILE)
    when, words = limits.timing(policy.round), policy_words()
    signers = [PrivateKey(key.to_bytes(32, "big")) for key in PRIVATE_KEYS]
    # The registry is the deployer's first contract, the oracle its second.
    chain_id, oracle = 31_337, get_create_address(HexAddress(HexStr(DEPLOYER)), Nonce(1))
    period_s = policy.round.period_s
    round_, model_set = NOW_S // period_s, keccak(text="a model set")
    policies = [limits.policy_digest(kind, False, when, [words], bytes(2), bytes(2), bytes(2)) for kind in ReportKind]
    rows = [[honest(rng, 60_000), honest(rng, 3_000)] for _ in range(3)]
    own = [[word for row in told for word in (row.risk, row.market)] for told in rows]
    digests = [
        typed_data.own_words_digest(chain_id, oracle, 1, round_, 0, model_set, policies[0], told) for told in own
    ]
    evidence = typed_data.evidence_root(
        [(i, typed_data.words_hash(told), keccak(text=f"why {i}")) for i, told in enumerate(own)]
    )
    medians_ = [_median([told[market] for told in rows]) for market in range(2)]
    agreed = [word for row in medians_ for word in (row.risk, row.market)]
    digest = typed_data.co_signed_digest(chain_id, oracle, 2, round_ + 1, 0, model_set, policies[1], evidence, agreed)
    after_own = history.fold(history.BEGINNING, digests)
    assert all(limits.judge(Words(0, 0), row, words, observed_at_s=NOW_S).halt is None for row in medians_)
    return {
        "deployer": DEPLOYER,
        "chainId": chain_id,
        "oracle": oracle,
        "period": period_s,
        "members": [signer.public_key.to_checksum_address() for signer in signers],
        "quorum": 3,
        "round": round_,
        "modelSet": "0x" + model_set.hex(),
        "timing": list(astuple(when)),
        "policy": _hex(astuple(words)),
        "policyDigest": ["0x" + each.hex() for each in policies],
        "ownWordsDigest": ["0x" + each.hex() for each in digests],
        "rvs": _signed_by(signers, digests),
        "words": _hex(word for told in own for word in told),
        "medians": _hex(agreed),
        "evidenceRoot": "0x" + evidence.hex(),
        "coSignedDigest": "0x" + digest.hex(),
        "coSignedRvs": _signed_by(signers, [digest] * 3),
        "history": ["0x" + each.ljust(32, b"\0").hex() for each in (after_own, history.fold(after_own, [digest]))],
        "stored": _hex(
            word
            for at in (round_, round_ + 1)
            for row in (stamped(each, at * period_s, limited=False, model_set_index=1) for each in medians_)
            for word in (row.risk, row.market)
        ),
    }


def _median(own: Sequence[Words]) -> Words:
    result = medians.medians(own)
    assert result is not None
    return result


def _signed_by(signers: Sequence[PrivateKey], digests: Sequence[bytes]) -> list[str]:
    halves = []
    for signer, digest in zip(signers, digests, strict=False):
        signature = signer.sign_msg_hash(digest)
        halves += [signature.r, signature.s | signature.v << 255]
    return _bytes32(halves)


def numbers_vectors(rng: random.Random) -> Vectors:
    """The elementary functions, at ordinary places and at their edges."""
    wads = [1, 2, 3, WAD - 1, WAD, WAD + 1, 2**96, 2**127, *(int(10 ** rng.uniform(0, 40)) for _ in range(40))]
    logs = [1, 2, 3, ONE - 1, ONE, ONE + 1, 777472127992, 777472127993, 2 * 777472127993 + 1, 2 * 777472127993 + 2]
    logs += [2**63, 2**64, 2**191 - 1, *(int(10 ** rng.uniform(0, 57)) for _ in range(40))]
    exps = [-(2**62), -1, 0, 1, ONE, 60 * ONE, *(int(rng.uniform(-42, 60) * ONE) for _ in range(40))]
    roots = [0, 1, 2, 3, 4, 2**128 - 1, 2**256 - 1, *(rng.getrandbits(rng.randrange(1, 256)) for _ in range(40))]
    forwards, strikes, moneyness, vols, calls = [], [], [], [], []
    for case in range(60):
        forwards.append(rng.randrange(1, 1 << rng.randrange(8, 96)))
        strikes.append(max(int(forwards[-1] * rng.uniform(0.2, 4)), 1))
        moneyness.append(ln(forwards[-1]) - ln(strikes[-1]))
        vols.append((black76.LEAST_VOL, black76.MOST_VOL)[case] if case < 2 else int(10 ** rng.uniform(-4, 0.7) * ONE))
        calls.append(black76.call(forwards[-1], strikes[-1], moneyness[-1], vols[-1]))
    return {
        "lnWadOf": _signed(wads),
        "lnWad": _signed(map(ln_wad, wads)),
        "lnOf": _hex(logs),
        "ln": _signed(map(ln, logs)),
        "expOf": _signed(exps),
        "exp": _hex(map(exp, exps)),
        "sqrtOf": _hex(roots),
        "sqrt": _hex(map(sqrt, roots)),
        "callForward": _hex(forwards),
        "callStrike": _hex(strikes),
        "callMoneyness": _signed(moneyness),
        "callVol": _hex(vols),
        "call": _signed(calls),
    }


def margin_vectors(rng: random.Random) -> Vectors:
    rows = []
    for case in range(48):
        words = stamped(honest(rng), NOW_S, limited=False, model_set_index=1) if case % 6 else any_words(rng)
        legs = [random_leg(rng, words) for _ in range(1 + case % 9)]
        if case % 5 == 0:
            legs = [portfolio.Leg(x.expiry_s, x.strike, x.is_call, abs(x.quantity)) for x in legs]
        if case % 5 == 1:  # spreads: what can be lost is bounded
            legs += [portfolio.Leg(x.expiry_s, x.strike + 10**8, x.is_call, -x.quantity) for x in legs]
        multiplier = (0, 10_000, 17_500)[case % 3]
        rows.append((words, legs, multiplier, portfolio.requirement(words, legs, NOW_S, multiplier)))
    own = random.Random("margrave corners")
    for case in range(42):
        words = honest(own) if case % 6 else any_words(own)
        legs = [_one_way(case, random_leg(own, words)) for _ in range(1 + case % 4)]
        rows.append((words, legs, 10_000, portfolio.requirement(words, legs, NOW_S)))
    return {
        "now": NOW_S,
        "risk": _hex(words.risk for words, *_ in rows),
        "market": _hex(words.market for words, *_ in rows),
        "legs": [len(legs) for _, legs, *_ in rows],
        "packed": _hex(leg.packed() for _, legs, *_ in rows for leg in legs),
        "multiplier": [multiplier for _, _, multiplier, _ in rows],
        "initial": _hex(result.initial for *_, result in rows),
        "maintenance": _hex(result.maintenance for *_, result in rows),
        "value": _signed(result.value for *_, result in rows),
        "worstLoss": _hex(result.worst_loss for *_, result in rows),
        "worstScenario": [result.worst_scenario for *_, result in rows],
    }


def _one_way(case: int, leg: portfolio.Leg) -> portfolio.Leg:
    """A leg of a book that loses by one kind of move only, or that is sold as a whole: `corners` has few scenarios."""
    is_call = case % 7 % 2 == 0 if case % 7 < 4 else leg.is_call
    sold = case % 7 < 2 or case % 7 == 4 or (case % 7 > 4 and (case % 7 == 5) is is_call)
    return portfolio.Leg(leg.expiry_s, leg.strike, is_call, -abs(leg.quantity) if sold else abs(leg.quantity))


def random_leg(rng: random.Random, words: Words) -> portfolio.Leg:
    """An option like those listed: an hour to a year away (some expired), strikes from a fifth to four times spot."""
    spot = words.market >> lanes.PRICE_SHIFT
    return portfolio.Leg(
        expiry_s=NOW_S + rng.choice((-60, 3_600, 86_400, 7 * 86_400, 20 * 86_400, 60 * 86_400, 365 * 86_400)),
        strike=min(int(spot * rng.uniform(0.2, 4)), 2**63) + 1,
        is_call=rng.random() < 0.5,
        quantity=rng.choice((-1, 1)) * rng.randrange(1, 10**9),
    )


def any_words(rng: random.Random) -> Words:
    """Words that no honest node signs: every lane anything it can hold."""
    price = rng.getrandbits(rng.randrange(1, lanes.PRICE_BITS + 1)) | 1
    market = sum(rng.getrandbits(15) << lane.shift for lane in lanes.MARKET_LANES if not lane.stamped)
    return Words(
        risk=sum(rng.getrandbits(15) << lane.shift for lane in lanes.RISK_LANES),
        market=market | price << lanes.PRICE_SHIFT,
    )


def policy_words() -> limits.PolicyWords:
    policy = settings.load_policy(settings.POLICY_FILE)
    return limits.policy_words(policy.limits.lanes, policy.limits.max_price_move)


def _with(market: int, name: str, count: int) -> int:
    field = next(field for field in FIELDS["market"] if field.name == name)
    return market & ~(field.largest << field.shift) | count << field.shift


def _hex(values: Any) -> list[str]:
    return [hex(value) for value in values]


def _bytes32(values: Sequence[int]) -> list[str]:
    return [f"0x{value:064x}" for value in values]


def _signed(values: Any) -> list[str]:
    return [str(value) for value in values]


def rendered(vectors: Vectors) -> str:
    return json.dumps(vectors, indent=1) + "\n"


if __name__ == "__main__":
    for name, vectors in make().items():
        (FOLDER / f"{name}.json").write_text(rendered(vectors), encoding="utf-8")
