"""What the contract would do, foreseen with its figures."""

from __future__ import annotations

import pytest

from margrave.decide.limits import foresee, policy_digest, policy_words
from margrave.lanes import LANES, Words
from margrave.mirror.words import RESUMED
from margrave.settings import Policy
from margrave.verdicts import HaltReason
from tests.unit.decide.sample import POLICY, onchain, words

BOUNDS = policy_words(POLICY.limits)


def test_words_within_bounds_cause_no_halt() -> None:
    assert foresee("BTC", onchain(words()), words(price=72_000), BOUNDS) is None


def test_a_figure_out_of_bounds_is_named_with_its_bounds() -> None:
    halt = foresee("BTC", onchain(words()), words(liquidity=0.6, contagion=0.7), BOUNDS)
    assert halt is not None
    assert halt.reason is HaltReason.OUT_OF_BOUNDS
    assert halt.detail == "liquidity 0.6 outside 0 to 0.5; contagion 0.7 outside 0 to 0.5"


def test_a_figure_on_the_bound_is_within() -> None:
    assert foresee("BTC", onchain(words()), words(liquidity=0.5), BOUNDS) is None


def test_a_price_that_moved_too_far_is_named_with_its_move() -> None:
    halt = foresee("BTC", onchain(words()), words(price=30_000), BOUNDS)
    assert halt is not None
    assert halt.reason is HaltReason.PRICE_JUMP
    assert halt.detail == "price moved -57.1% since the last accepted round, 50% allowed"


def test_first_figures_and_those_after_a_resume_may_jump() -> None:
    assert foresee("BTC", onchain(), words(price=30_000), BOUNDS) is None
    stored = words()
    resumed = Words(risk=stored.risk, market=stored.market | RESUMED << LANES["flags"].shift)
    assert foresee("BTC", onchain(resumed), words(price=30_000), BOUNDS) is None


def test_a_ladder_that_does_not_ascend_is_incoherent() -> None:
    halt = foresee("BTC", onchain(words()), words(down_es99=0.02), BOUNDS)
    assert halt is not None
    assert halt.reason is HaltReason.INCOHERENT


@pytest.mark.parametrize("change", ["limit", "price", "period", "markets"])
def test_the_digest_changes_with_every_part_of_the_policy(change: str) -> None:
    data = POLICY.model_dump()
    markets = 2
    match change:
        case "limit":
            data["limits"]["lanes"]["vol_up"]["high"] = 2.5
        case "price":
            data["limits"]["max_price_move"] = 0.4
        case "period":
            data["round"]["period_s"] = 600
        case "markets":
            markets = 3
    assert policy_digest(Policy.model_validate(data), markets) != policy_digest(POLICY, 2)


def test_the_digest_is_what_deploying_this_policy_sets() -> None:
    from margrave.chain.deploy import policy_digest as deployed

    assert policy_digest(POLICY, 2) == deployed(POLICY, 2)
    assert len(policy_digest(POLICY, 2)) == 32
