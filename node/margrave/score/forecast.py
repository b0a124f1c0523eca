"""One batched run of each model over all markets: what the index can do in the margin period of risk.

Which model speaks, and how it is widened, never narrowed:

1. The main model's ladder is published, but no rung of it below `BASELINE_FLOOR` of the baseline's rung.
2. Where the input is unlike the training data (`unlike` > 1), or the main model refuses it (an output that is not
   finite: four weeks of hours are not whole), or has drifted as far as `DriftLevel.BASELINE`, the baseline speaks: the
   larger of both ladders, rung by rung, is published and `fallback` is set.
3. Bars close on the hour and a crash does not wait. Where the index has moved since the last close by more than a
   typical hour does, the models are also asked with that move as a provisional bar, and the larger answer counts.
   What that is worth `python -m margrave.lab.served` measures; its figures stand in docs/models.md, "Who speaks".

A rung-by-rung maximum of ascending ladders ascends, so none of this can break the order that the wire demands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from margrave.errors import Fatal, Rejected
from margrave.messages import Bar, Ladder, MarketHold, MarketSnapshot
from margrave.score import hourly
from margrave.score.asked import BASELINE_H, Row, batch, log_closes, needs
from margrave.score.carried import Carried
from margrave.score.features.hours import Hour
from margrave.score.features.served import serve_worlds
from margrave.score.registry import Card, Model, open_model
from margrave.settings import ModelPolicy
from margrave.spans import HOUR_MS, HOUR_S, YEAR_H
from margrave.verdicts import DriftLevel, HoldReason

BASELINE_FLOOR: Final = 1 / 3
"""A floor that is felt only where the main model has lost its way: docs/models.md, "Who speaks", says how often."""
MIN_BARS: Final = 200
"""For the baseline. The main model wants four whole weeks."""
RUNGS: Final = Ladder.__struct_fields__
"""Order of the `ladder` output of a baseline, (batch, 10)."""
QUANTILES: Final = (0.025, 0.005, 0.0005)
SHORTFALLS: Final = (0.01, 0.001)
"""Levels of the wire's rungs, by what they are."""
REFUSED_UNLIKE: Final = 2.0
"""What is told of an input that the main model gave no number for."""

Floats = np.typing.NDArray[np.float64]


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """One market's return distribution over the horizon, and how far to trust it."""

    market: str
    ladder: Ladder
    """What the models say about now."""
    closed: Ladder
    """The same of the closed bars alone: what outcomes are measured against."""
    hour: Ladder
    """Of the next hour, by the closed bars: what drift is measured against."""
    sigma_annual: float
    unlike: float
    """Distance from the training data over its 99.9 % quantile: 0 at its centre, above 1 is unlike it."""
    masked: tuple[str, ...]
    """Inputs that nobody supplied this round: the models ran without them."""
    fallback: bool
    provisional: bool
    """The move since the last closed bar widened the ladder."""
    ladders: Mapping[str, Ladder]
    """Each model's own answer to the closed bars, by model name; a model that refused is missing."""


@dataclass(frozen=True, slots=True)
class _Answer:
    ladder: Floats
    """(10,) in the order of `RUNGS`; so is `hour`."""
    hour: Floats
    sigma_annual: float
    unlike: float

    @property
    def sound(self) -> bool:
        return bool(np.isfinite(self.ladder).all() and np.isfinite(self.hour).all() and np.isfinite(self.unlike))


class Forecaster:
    """Runs the models of a policy over a round's markets."""

    def __init__(self, main: Model, baseline: Model, volatility: Model, horizon_s: int) -> None:
        """
        Raises:
            Fatal: a model does not speak of the horizon, or is made for another definition of the features.
        """
        horizon_h, rest = divmod(horizon_s, 3600)
        told = [(main, main.card.tails_h), (volatility, volatility.card.horizons_h)]
        told.append((baseline, baseline.card.tails_h or (baseline.card.horizon_s // HOUR_S,)))
        for model, hours in told:
            if rest or horizon_h not in hours:
                raise Fatal(
                    f"{model.name} looks {', '.join(map(str, hours)) or 'no'} hours ahead, mpor_s is {horizon_s} s",
                    advice="choose models of that horizon in [models] of policy.toml, or another mpor_s",
                )
            missing = sorted({*QUANTILES, *SHORTFALLS} - set(model.card.levels)) if model.card.tails_h else []
            if missing:
                raise Fatal(
                    f"{model.name} does not speak at level {missing[0]}", advice="choose another in policy.toml"
                )
        for model in (main, volatility):
            needs(model.card)
        self.main, self.baseline, self.volatility = main, baseline, volatility
        self.horizon_h = horizon_h
        self.prior = np.array(main.card.week_prior)
        """(168,) the hour-of-week table that a market's begins with."""

    @classmethod
    def of(cls, policy: ModelPolicy, registry_dir: Path, horizon_s: int) -> Forecaster:
        """
        Raises:
            Fatal: a model is not in the registry, is not whole, or does not fit.
        """
        main, baseline, volatility = (open_model(registry_dir, name) for name in policy.of_the_ladder)
        return cls(main, baseline, volatility, horizon_s)

    @property
    def models(self) -> tuple[Model, ...]:
        return self.main, self.baseline, self.volatility

    def forecast(
        self, markets: Sequence[MarketSnapshot], carried: Mapping[str, Carried]
    ) -> list[Forecast | MarketHold]:
        """One entry a market, in order: its forecast, or why there is none. Never raises for what a market says.

        Args:
            carried: of every market, settled with this round's bars.
        """
        (found,) = self.forecasts([(markets, carried)])
        return found

    def forecasts(
        self, worlds: Sequence[tuple[Sequence[MarketSnapshot], Mapping[str, Carried]]]
    ) -> list[list[Forecast | MarketHold]]:
        """`forecast` of each of some worlds, in one batched run: markets of one world know nothing of another's."""
        prepared = self._prepared(worlds)
        rows = [[item for item in world if not isinstance(item, MarketHold)] for world in prepared]
        named = [{market.market: market for market in markets} for markets, _ in worlds]
        moved = [
            {row.market for row in world if _has_moved(row, by_name[row.market])}
            for world, by_name in zip(rows, named, strict=True)
        ]
        running = [
            [self._running_hour(row, by_name[row.market]) for row in world] if any_moved else []
            for world, by_name, any_moved in zip(rows, named, moved, strict=True)
        ]
        return [
            self._settled(items, carried, closed, {name: ahead[name] for name in who})
            for items, (_, carried), closed, ahead, who in zip(
                prepared, worlds, self._answers(rows), self._answers(running), moved, strict=True
            )
        ]

    def _settled(
        self,
        prepared: Sequence[Row | MarketHold],
        carried: Mapping[str, Carried],
        closed: Mapping[str, _Told],
        ahead: Mapping[str, _Told],
    ) -> list[Forecast | MarketHold]:
        """Of one world; `ahead` has the markets that have moved since their last close."""
        found: list[Forecast | MarketHold] = []
        for item in prepared:
            if isinstance(item, MarketHold):
                found.append(item)
                continue
            answers = [closed[item.market], *([ahead[item.market]] if item.market in ahead else [])]
            drifted = carried[item.market].drift.level is DriftLevel.BASELINE
            found.append(self._settle(item.market, answers, drifted=drifted))
        return found

    def _prepared(
        self, worlds: Sequence[tuple[Sequence[MarketSnapshot], Mapping[str, Carried]]]
    ) -> list[list[Row | MarketHold]]:
        """By world; what several worlds have of a market is prepared once, and bars that they have are read once."""
        known: dict[tuple[int, int], Row | MarketHold] = {}
        closes: dict[int, Floats] = {}
        for markets, carried in worlds:
            for market in markets:
                state = carried[market.market]
                if (id(market), id(state)) not in known:
                    known[id(market), id(state)] = self._prepare(market, state, closes)
        return [[known[id(market), id(carried[market.market])] for market in markets] for markets, carried in worlds]

    def _prepare(self, market: MarketSnapshot, state: Carried, closes: dict[int, Floats]) -> Row | MarketHold:
        """
        Args:
            closes: log closes of bars that were read before, by which object they are; these are added.
        """
        bars = market.bars
        if len(bars) < MIN_BARS:
            return MarketHold(
                market=market.market,
                reason=HoldReason.TOO_LITTLE_HISTORY,
                detail=f"{len(bars)} closed hourly bars, {MIN_BARS} are needed",
            )
        if not 0 < market.price < float("inf"):
            return MarketHold(
                market=market.market,
                reason=HoldReason.UNLIKE_TRAINING,
                detail=f"the index price is {market.price}",
            )
        try:
            if id(bars) not in closes:
                closes[id(bars)] = log_closes(bars)
            running = hourly.now(state, market, self.prior)
        except Rejected as refusal:
            return MarketHold(market=market.market, reason=HoldReason.UNLIKE_TRAINING, detail=refusal.problem)
        return Row(market.market, np.diff(closes[id(bars)])[-BASELINE_H:], running)

    def _running_hour(self, row: Row, market: MarketSnapshot) -> Row:
        """The same with the running hour as far as the guarded index knows it. Of every market, moved or not: they are
        each other's inputs, and must stand at one hour."""
        bar = _provisional(market)
        running = row.running
        if running is not None:
            running = running.after(Hour(bar=bar, vol_index=market.vol_index, funding_8h=market.funding_8h), self.prior)
        returns = np.append(row.returns, np.log(bar.close / bar.open))[-BASELINE_H:]
        return Row(row.market, returns, running)

    def _answers(self, worlds: Sequence[Sequence[Row]]) -> list[dict[str, _Told]]:
        """By market, a world each."""
        rows = [row for world in worlds for row in world]
        if not rows:
            return [{} for _ in worlds]
        served = serve_worlds(
            [[row.running for row in world if row.running is not None] for world in worlds], self.prior
        )
        asked = batch(rows, served)
        main, baseline = self.main.run(asked.of(self.main.card)), self.baseline.run(asked.of(self.baseline.card))
        simple = self._sigma(self.baseline.card, baseline)
        own = self._sigma(self.volatility.card, self.volatility.run(asked.of(self.volatility.card)))
        sigma = np.where(np.isfinite(own), own, simple)
        places = iter(range(len(rows)))
        return [
            {
                row.market: _Told(
                    main=self._answer(self.main.card, main, place, sigma),
                    baseline=self._answer(self.baseline.card, baseline, place, simple),
                    masked=asked.masked(place),
                )
                for row, place in zip(world, places, strict=False)
            }
            for world in worlds
        ]

    def _sigma(self, card: Card, out: Mapping[str, Floats]) -> Floats:
        """(rows,) annualised volatility over the horizon."""
        if card.horizons_h:
            variance = np.exp(out["log_variance"][:, card.horizons_h.index(self.horizon_h)])
        else:
            variance = out["sigma"] ** 2
        return np.asarray(np.sqrt(variance * YEAR_H / self.horizon_h))

    def _answer(self, card: Card, out: Mapping[str, Floats], place: int, sigma: Floats) -> _Answer:
        unlike = float(out["unlike"][place]) if "unlike" in out else 0.0
        if card.tails_h:
            ladder, hour = (_rungs(card, out, place, horizon_h) for horizon_h in (self.horizon_h, card.tails_h[0]))
        else:
            ladder = hour = out["ladder"][place]
        spoken_h = card.tails_h[0] if card.tails_h else self.horizon_h
        return _Answer(ladder, _of_one_hour(hour, spoken_h), float(sigma[place]), unlike)

    def _settle(self, market: str, told: Sequence[_Told], *, drifted: bool) -> Forecast | MarketHold:
        combined = [_combined(one.main, one.baseline, drifted=drifted) for one in told]
        if any(answer is None for answer in combined):
            return MarketHold(
                market=market,
                reason=HoldReason.UNLIKE_TRAINING,
                detail="neither model gives a finite answer for these bars",
            )
        closed, *later = [answer for answer in combined if answer is not None]
        said = closed
        for answer in later:
            said = _wider(said, answer)
        own = {self.main.name: told[0].main, self.baseline.name: told[0].baseline}
        return Forecast(
            market=market,
            ladder=_ladder(said.ladder),
            closed=_ladder(closed.ladder),
            hour=_ladder(closed.hour),
            sigma_annual=said.sigma_annual,
            unlike=said.unlike,
            masked=told[0].masked,
            fallback=drifted or any(_refused(one.main) for one in told),
            provisional=bool((said.ladder > closed.ladder).any()),
            ladders={name: _ladder(answer.ladder) for name, answer in own.items() if answer.sound},
        )


@dataclass(frozen=True, slots=True)
class _Told:
    """Of one row."""

    main: _Answer
    baseline: _Answer
    masked: tuple[str, ...]


def _rungs(card: Card, out: Mapping[str, Floats], place: int, horizon_h: int) -> Floats:
    """(10,) simple returns in the order of `RUNGS`, each side ascending."""
    at = card.tails_h.index(horizon_h)
    var, es = out["var"][place, at], out["es"][place, at]
    q975, q995, q9995 = (var[:, card.levels.index(level)] for level in QUANTILES)
    es99, es999 = (es[:, card.levels.index(level)] for level in SHORTFALLS)
    moves = np.maximum.accumulate(np.stack([q975, q995, es99, q9995, es999], axis=1), axis=1)
    return np.concatenate([-np.expm1(-moves[0]), np.expm1(moves[1])])


def _combined(main: _Answer, baseline: _Answer, *, drifted: bool) -> _Answer | None:
    if not baseline.sound:
        return main if main.sound and main.unlike <= 1 else None
    if not main.sound:
        return replace(baseline, unlike=REFUSED_UNLIKE)
    if drifted or _refused(main):
        return replace(_wider(main, baseline), sigma_annual=main.sigma_annual)
    return replace(main, ladder=np.maximum(main.ladder, BASELINE_FLOOR * baseline.ladder))


def _refused(main: _Answer) -> bool:
    return not main.sound or main.unlike > 1


def _wider(a: _Answer, b: _Answer) -> _Answer:
    return _Answer(
        np.maximum(a.ladder, b.ladder),
        np.maximum(a.hour, b.hour),
        max(a.sigma_annual, b.sigma_annual),
        max(a.unlike, b.unlike),
    )


def _has_moved(row: Row, market: MarketSnapshot) -> bool:
    """By more than the root of the mean squared hour of the last four weeks, since the last close."""
    return bool(np.log(market.price / market.bars[-1].close) ** 2 > np.mean(row.returns**2))


def _provisional(market: MarketSnapshot) -> Bar:
    """The running hour as far as the guarded index knows it.

    Only its two ends are known. The range is drawn so that the bar's Garman-Klass variance is the squared move: a
    straight line from end to end would count as a ninth of it. Volume is unknown: the last bar's stands in.
    """
    last, price = market.bars[-1], market.price
    beyond = np.exp((np.sqrt(4 * np.log(2)) - 1) / 2 * abs(np.log(price / last.close)))
    return Bar(
        open_time_ms=last.open_time_ms + HOUR_MS,
        open=last.close,
        high=max(last.close, price) * float(beyond),
        low=min(last.close, price) / float(beyond),
        close=price,
        volume=last.volume,
    )


def _of_one_hour(rungs: Floats, horizon_h: int) -> Floats:
    """By the square root of time, where a model does not speak of one hour."""
    if horizon_h == 1:
        return rungs
    root = np.sqrt(horizon_h)
    return np.concatenate([-np.expm1(np.log1p(-rungs[:5]) / root), np.expm1(np.log1p(rungs[5:]) / root)])


def _ladder(rungs: Floats) -> Ladder:
    return Ladder(**dict(zip(RUNGS, (float(rung) for rung in rungs), strict=True)))
