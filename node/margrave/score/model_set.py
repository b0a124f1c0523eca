"""All that [models] of policy.toml names, opened and proven, as a scorer wants it, with the hash that governance
approves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from margrave.score.cascade.served import Cascades
from margrave.score.contagion.served import Contagions
from margrave.score.forecast import Forecaster
from margrave.score.registry import Model, model_set_hash, open_model
from margrave.score.scores import Scorer
from margrave.score.systemic import Systemic
from margrave.settings import MarketSettings, Policy


@dataclass(frozen=True, slots=True)
class ModelSet:
    policy: Policy
    forecaster: Forecaster
    systemic: Systemic
    models: tuple[Model, ...]

    @classmethod
    def of(cls, policy: Policy, registry_dir: Path) -> ModelSet:
        """
        Raises:
            Fatal: a model is not in the registry, is not whole, or does not fit.
        """
        named = policy.models
        forecaster = Forecaster.of(named, registry_dir, policy.round.mpor_s)
        cascade, contagion = (
            None if name is None else open_model(registry_dir, name) for name in (named.cascade, named.contagion)
        )
        return cls(
            policy=policy,
            forecaster=forecaster,
            systemic=Systemic(
                cascade_model=None if cascade is None else Cascades(cascade), contagion_model=Contagions(contagion)
            ),
            models=(*forecaster.models, *(model for model in (cascade, contagion) if model is not None)),
        )

    @property
    def hash(self) -> bytes:
        return model_set_hash(self.models)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(model.name for model in self.models)

    def scorer(self, markets: Mapping[str, MarketSettings]) -> Scorer:
        return Scorer(self.forecaster, markets, self.policy, self.hash, self.systemic)
