"""The models that governance's policy names, as a node runs them."""

from __future__ import annotations

from functools import cache

from margrave.score.forecast import Forecaster
from margrave.score.registry import model_set_hash
from margrave.score.scores import Scorer
from margrave.settings import REGISTRY
from tests.unit.score.sample import MARKETS, POLICY


@cache
def forecaster() -> Forecaster:
    return Forecaster.of(POLICY.models, REGISTRY, POLICY.round.mpor_s)


def scorer() -> Scorer:
    return Scorer(forecaster(), MARKETS, POLICY, model_set_hash(forecaster().models))
