"""A snapshot becomes scores: forecast, surface, add-ons, composite, and the two words of each market."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final, NamedTuple, Protocol

import msgspec

from margrave import lanes
from margrave.errors import Rejected
from margrave.lanes import ASCENDING, BOXES, Words
from margrave.messages import Ladder, MarketHold, MarketScores, MarketSnapshot, Scores, Snapshot, Surface
from margrave.score import addons, composite
from margrave.score.addons import VolShock
from margrave.score.carried import Carried, awaiting, factor, fresh, learnt, regarded, widened
from margrave.score.cascade.message import Cascade
from margrave.score.contagion.message import Contagion
from margrave.score.features.catalogue import LEVEL_H
from margrave.score.hourly import Floats, settled
from margrave.score.surface import calibrated
from margrave.score.systemic import Systemic, fallbacks
from margrave.settings import MarketSettings, Policy
from margrave.spans import DAY_S, HOUR_MS
from margrave.verdicts import HoldReason, Rejection

DRIFT_PER_SQRT_DAY: Final = 0.15
"""How uncertain volatility becomes, relative to itself, where no chain is seen: «tomorrow as today» misses DVOL by 3 %
of it on an ordinary day, and the days without a chain are not the ordinary ones."""
BEGUN_H: Final = 72
"""Hours that a market which nothing is known of learns from, as far as the guard's history has them beyond the four
weeks that the models need."""
BEGUN_MOST: Final = 4_000
"""Hours of all such markets together: some ten seconds of work in the first round of a node with very many of them."""
MAX_ERROR: Final = 0.30
"""Of the 30-day volatility: a surface further off is not published. Some three days without a chain, or a chain that
no surface fits. Crashes bend the wings: recorded ones reach 0.15 and must still be published."""

FORMULAS: Final = Systemic()


class Forecast(Protocol):
    """What the composition needs of a model's answer; `score.forecast.Forecast` is one."""

    @property
    def market(self) -> str: ...
    @property
    def ladder(self) -> Ladder: ...
    @property
    def closed(self) -> Ladder: ...
    @property
    def hour(self) -> Ladder: ...
    @property
    def sigma_annual(self) -> float: ...
    @property
    def unlike(self) -> float: ...
    @property
    def masked(self) -> tuple[str, ...]: ...
    @property
    def fallback(self) -> bool: ...


class Forecasts(Protocol):
    """Runs the models; `score.forecast.Forecaster` is one."""

    @property
    def prior(self) -> Floats: ...

    def forecast(
        self, markets: Sequence[MarketSnapshot], carried: Mapping[str, Carried]
    ) -> Sequence[Forecast | MarketHold]: ...

    def forecasts(
        self, worlds: Sequence[tuple[Sequence[MarketSnapshot], Mapping[str, Carried]]]
    ) -> Sequence[Sequence[Forecast | MarketHold]]: ...


class Composed(NamedTuple):
    """A market's score, and the parts of it that the composition makes itself."""

    shock: VolShock
    liquidity: float
    scored: composite.Scored


class Scorer:
    """Scores snapshots under one policy and one model set. Holds no state: the same inputs give the same words, and the
    same inputs of the next round."""

    def __init__(
        self,
        forecaster: Forecasts,
        markets: Mapping[str, MarketSettings],
        policy: Policy,
        model_set: bytes,
        systemic: Systemic = FORMULAS,
    ) -> None:
        self.forecaster = forecaster
        self.systemic = systemic
        self.markets = markets
        self.policy = policy
        self.horizon_h = max(1, round(policy.round.mpor_s * 1_000 / HOUR_MS))
        self.model_set = model_set

    def score(
        self,
        snapshot: Snapshot,
        surfaces: Mapping[str, Surface] | None = None,
        carried: Mapping[str, Carried] | None = None,
    ) -> tuple[Scores, dict[str, Carried]]:
        """Score every market of the snapshot that can be; the others are in `holds`, the guard's own among them.

        Args:
            surfaces: each market's surface of the last round: where the fit starts, and what is carried on, with
                growing doubt, while no chain is seen.
            carried: what the last round returned. A market that is new in it, or was carried by other models, begins
                with what the hours teach that it is given beyond those that the models need.

        Returns:
            The scores, and what the next round is to be given.
        """
        previous = surfaces or {}
        states = self._learnt(snapshot, carried or {})
        holds = list(snapshot.holds)
        forecasts: dict[str, Forecast] = {}
        fitted: dict[str, Surface] = {}
        spoken = self.forecaster.forecast(snapshot.markets, states)
        chains = _fits(snapshot, previous)
        for market, forecast in zip(snapshot.markets, spoken, strict=True):
            if isinstance(forecast, MarketHold):
                holds.append(forecast)
                continue
            surface = self._surface(market, chains.get(market.market), previous.get(market.market))
            if isinstance(surface, MarketHold):
                holds.append(surface)
                continue
            forecasts[market.market], fitted[market.market] = forecast, surface
        ladders = {name: widened(f.ladder, states[name], self.policy.widening) for name, f in forecasts.items()}
        cascades = self.systemic.cascades(snapshot.markets, ladders, self.policy.round.mpor_s)
        contagions = self.systemic.contagions(snapshot.markets, ladders)
        scored: list[MarketScores] = []
        for market in snapshot.markets:
            name = market.market
            if name in forecasts:
                systemic = cascades[name], contagions[name]
                row = self._market(market, forecasts[name], ladders[name], states[name], fitted[name], *systemic)
                states[name] = self._awaiting(market, forecasts[name], states[name])
                if isinstance(row, MarketHold):
                    holds.append(row)
                    continue
                states[name] = regarded(states[name], snapshot.as_of_ms, market, row)
                scored.append(msgspec.structs.replace(row, regime=states[name].regime.regime))
        scores = Scores(
            round=snapshot.round,
            as_of_ms=snapshot.as_of_ms,
            model_set=self.model_set,
            markets=tuple(scored),
            holds=tuple(holds),
        )
        return scores, states

    def _learnt(self, snapshot: Snapshot, carried: Mapping[str, Carried]) -> dict[str, Carried]:
        """Of every market that is watched, with what this round's bars teach; one that is held stays as it was."""
        watched = [market for market in snapshot.markets if market.market in self.markets]
        states = {
            name: state for name, state in carried.items() if name in self.markets and state.model_set == self.model_set
        }
        if begun := [market for market in watched if market.market not in states]:
            states |= self._begun(begun)
        return states | {market.market: self._taught(states[market.market], market) for market in watched}

    def _taught(self, state: Carried, market: MarketSnapshot) -> Carried:
        state = learnt(state, market, self.horizon_h, self.policy.widening)
        return settled(state, market, self.forecaster.prior)

    def _begun(self, markets: Sequence[MarketSnapshot]) -> dict[str, Carried]:
        """What markets begin with: the rounds of their last hours as they would have been, of closed bars alone. So a
        node that begins sees a break that came before it, and starts nearer to what the others have learnt."""
        states = {market.market: fresh(self.model_set) for market in markets}
        for back in range(min(BEGUN_H, BEGUN_MOST // len(markets)), 0, -1):
            past = [before(market, back) for market in markets if len(market.bars) - back > LEVEL_H + 1]
            states |= {market.market: self._taught(states[market.market], market) for market in past}
            for market, forecast in zip(past, self.forecaster.forecast(past, states), strict=True):
                if not isinstance(forecast, MarketHold):
                    states[market.market] = self._awaiting(market, forecast, states[market.market])
        return states

    def _awaiting(self, market: MarketSnapshot, forecast: Forecast, state: Carried) -> Carried:
        if not market.bars:
            return state
        said = widened(forecast.closed, state, self.policy.widening)
        return awaiting(state, market.bars[-1].open_time_ms + HOUR_MS, said, forecast.hour, forecast.unlike)

    def _surface(
        self, market: MarketSnapshot, fit: Surface | Rejected | None, previous: Surface | None
    ) -> Surface | MarketHold:
        if fit is None:
            problem = "no option chain"
        elif isinstance(fit, Rejected):
            problem = fit.problem
        elif relative_error(fit) <= MAX_ERROR:
            return fit
        else:
            problem = f"the best surface is {relative_error(fit):.0%} off its quotes, {MAX_ERROR:.0%} allowed"
        if previous is None:
            return MarketHold(market=market.market, reason=HoldReason.NO_SURFACE, detail=problem)
        kept = carried(previous, self.policy.round.period_s)
        if relative_error(kept) <= MAX_ERROR:
            return kept
        detail = f"{problem}, and the last surface is by now uncertain by {relative_error(kept):.0%} of itself"
        return MarketHold(market=market.market, reason=HoldReason.NO_SURFACE, detail=detail)

    def composed(
        self, market: MarketSnapshot, ladder: Ladder, surface: Surface, cascade: Cascade, contagion: Contagion
    ) -> Composed:
        """The score, and what it takes beside what is given. `score.attribution` asks it of other inputs too."""
        size_usd, mpor_s = self.markets[market.market].reference_size_usd, self.policy.round.mpor_s
        shock = addons.vol_shock(ladder, mpor_s)
        liquidity = addons.liquidity(size_usd, market.half_spread, market.depth_usd)
        parts = (ladder, surface, shock, liquidity, cascade, contagion)
        return Composed(shock, liquidity, composite.compose(market.market, mpor_s, size_usd, *parts))

    def _market(
        self,
        market: MarketSnapshot,
        forecast: Forecast,
        ladder: Ladder,
        state: Carried,
        surface: Surface,
        cascade: Cascade,
        contagion: Contagion,
    ) -> MarketScores | MarketHold:
        settings = self.markets[market.market]
        shock, liquidity, scored = self.composed(market, ladder, surface, cascade, contagion)
        missing = sorted({*forecast.masked, *addons.masked(market), *cascade.masked, *contagion.masked})
        formulas = fallbacks(cascade, contagion)
        confidence = composite.confidence(
            market,
            len(settings.instruments),
            surface,
            forecast.unlike,
            (*missing, *formulas),
            fallback=forecast.fallback,
            drift=state.drift.level,
        )
        values = {
            **msgspec.structs.asdict(ladder),
            "vol_up": shock.up,
            "vol_down": shock.down,
            "liquidity": liquidity,
            "cascade_probability": cascade.probability,
            "cascade_size": cascade.size,
            "contagion": contagion.addon,
            "score": scored.score,
            "confidence": confidence,
            "total_vol_7d": surface.total_vol_7d,
            "total_vol_30d": surface.total_vol_30d,
            "total_vol_90d": surface.total_vol_90d,
            "ssvi_rho": surface.rho,
            "ssvi_wing": surface.wing,
            "ssvi_decay": surface.decay,
            "basis": surface.basis,
        }
        try:
            words = quantise(values, market.price)
        except Rejected as error:
            return MarketHold(market=market.market, reason=HoldReason.NOT_REPRESENTABLE, detail=error.problem)
        own = forecast.ladder
        return MarketScores(
            market=market.market,
            price=market.price,
            ladder=ladder,
            sigma_annual=forecast.sigma_annual,
            surface=surface,
            basis=surface.basis,
            vol_up=shock.up,
            vol_down=shock.down,
            liquidity=liquidity,
            cascade_probability=cascade.probability,
            cascade_size=cascade.size,
            contagion=contagion.addon,
            score=scored.score,
            confidence=confidence,
            reasons=scored.reasons,
            fallback=forecast.fallback,
            words=words,
            widening_down=factor(ladder.down_es99, own.down_es99, up=False),
            widening_up=factor(ladder.up_es99, own.up_es99, up=True),
            drift=state.drift.level,
            drift_reasons=state.drift.reasons,
            masked=tuple(missing),
            fallbacks=formulas,
            cascade_probability_1h=cascade.probability_1h,
            contagion_rank=contagion.rank,
            contagion_paths=contagion.paths,
        )


def _fits(snapshot: Snapshot, previous: Mapping[str, Surface]) -> dict[str, Surface | Rejected]:
    """Of every market with a chain, all in one search, or why none fits."""
    quoted = [market for market in snapshot.markets if market.quotes]
    chains = [
        (market.quotes, snapshot.as_of_ms - round(1_000 * (market.chain_age_s or 0.0)), previous.get(market.market))
        for market in quoted
    ]
    return {market.market: fit for market, fit in zip(quoted, calibrated(chains), strict=True)}


def before(market: MarketSnapshot, hours: int) -> MarketSnapshot:
    """What was known of closed hours some hours ago; what else was told then nobody has kept."""
    bars = market.bars[:-hours]
    return msgspec.structs.replace(market, bars=bars, price=bars[-1].close, vol_index=None, funding_8h=None)


def carried(surface: Surface, elapsed_s: int) -> Surface:
    """The surface of `elapsed_s` ago where no chain is seen: the same numbers, with what they may have drifted."""
    drift = DRIFT_PER_SQRT_DAY * surface.vol_30d * math.sqrt(elapsed_s / DAY_S)
    return msgspec.structs.replace(surface, rmse_vol=math.hypot(surface.rmse_vol, drift), quotes_used=0)


def relative_error(surface: Surface) -> float:
    """The surface's error as a share of its 30-day volatility."""
    return surface.rmse_vol / surface.vol_30d


def quantise(values: Mapping[str, float], price_usd: float) -> Words:
    """The two words of a market, refused where they would not mean what the wire table says.

    Raises:
        Rejected: a value does not fit its lane or its box, or a chain does not ascend.
    """
    for chain in ASCENDING:
        for lower, upper in pairwise(chain):
            if not values[lower] <= values[upper]:
                detail = f"{lower} {values[lower]:g} is above {upper} {values[upper]:g}"
                raise Rejected(Rejection.OUT_OF_RANGE, detail)
    for name, (low, high) in BOXES.items():
        if not low <= values[name] <= high:
            raise Rejected(Rejection.OUT_OF_RANGE, f"{name} {values[name]:g} is outside {low:g} to {high:g}")
    words = lanes.encode(values, price_usd)
    for chain in ASCENDING:
        counts = [lanes.raw(words, name) for name in chain]
        assert counts == sorted(counts), "rounding by one unit keeps order"
    return words
