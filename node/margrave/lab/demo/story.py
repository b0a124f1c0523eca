"""A run in plain words: the sentence under the title, the key figures, and why the peaks were peaks."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import Final

import numpy as np

from margrave.lab.demo import wording
from margrave.lab.demo.record import MarketRow, Summary
from margrave.lab.demo.series import MarketSeries, RunSeries
from margrave.lab.demo.strips import LEVELS, REGIMES, WORTH_SHOWING
from margrave.messages import Reason

REASONS_TOLD: Final = 3
SAID: Final = {"flagged": "flagged", "widened": "the ladder widened for it", "baseline": "the baseline's as a floor"}
"""Of each level of drift."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One key figure: what, how much, and the words that make it checkable."""

    label: str
    value: str
    note: str


@dataclass(frozen=True, slots=True)
class Moment:
    """A round worth a second look, and the largest reasons of its score."""

    what: str
    when: str
    round: int
    reasons: tuple[Reason, ...]


def headline(summary: Summary, run: RunSeries) -> str:
    """What happened, for somebody who reads nothing else."""
    if not summary.rounds:
        return "No round was attempted, so there is nothing to show."
    parts = [_market_part(run), _publication_part(summary), _requirement_part(run), _breach_part(summary)]
    return " ".join(part for part in parts if part)


def _market_part(run: RunSeries) -> str:
    falls = [_fall(series) for series in run.markets if series.present]
    span = wording.duration((run.end_ms - int(run.times_ms[0])) / 1000)
    return f"Over {span} of market time {wording.listing(falls)}." if falls else f"{span} of market time were watched."


def _fall(series: MarketSeries) -> str:
    fell = series.drawdown
    return (
        f"{series.market} fell by up to {wording.percent(fell)}" if fell >= 0.0005 else f"{series.market} did not fall"
    )


def _publication_part(summary: Summary) -> str:
    attempted = wording.plural(summary.rounds_attempted, "round")
    members = wording.plural(len(summary.members), "node")
    if not summary.rounds_published:
        return f"None of {attempted} was published by the {members}."
    every = summary.rounds_published == summary.rounds_attempted
    share = f"{summary.rounds_published:,} of {attempted}"
    if every:
        share = f"all {attempted}" if summary.rounds_attempted > 1 else "the only round"
    return f"A committee of {members} published {share}."


def _requirement_part(run: RunSeries) -> str:
    asked = run.requirement[np.isfinite(run.requirement)]
    if not asked.size:
        return ""
    low, high = wording.usd(float(asked.min())), wording.usd(float(asked.max()))
    moved = f"stayed at {low}" if low == high else f"moved between {low} and {high}"
    share = run.share_of_static
    compared = "" if np.isnan(share) else f", on average {wording.percent(share, 0)} of what a fixed grid would ask"
    return f"The collateral asked of the demonstration account {moved}{compared}."


def _breach_part(summary: Summary) -> str:
    known = sum(row.move is not None for row in summary.realised)
    if not known:
        return f"The run ended before any forecast over {wording.duration(summary.mpor_s)} could be judged."
    beyond = f"{len(summary.breaches):,}" if summary.breaches else "none"
    windows = f"{wording.plural(known, 'window')} of {wording.duration(summary.mpor_s)}"
    return f"The index moved beyond the expected shortfall in {beyond} of {windows}."


def key_figures(summary: Summary, run: RunSeries) -> tuple[Figure, ...]:
    return (
        Figure(
            "rounds published",
            f"{summary.rounds_published:,} of {summary.rounds_attempted:,}",
            f"one in {wording.duration(summary.period_s)} of market time",
        ),
        _signers(summary),
        _gas(summary),
        _peak_score(run),
        _largest_requirement(summary),
        _against_static(run),
        _breaches(summary),
    )


def _signers(summary: Summary) -> Figure:
    counts = [len(row.signers) for row in summary.rounds if row.published]
    value = f"{median(counts):g} of {len(summary.members)}" if counts else wording.ABSENT
    return Figure("signers", value, f"median; quorum {summary.quorum}")


def _gas(summary: Summary) -> Figure:
    gas = [used for used in summary.gas_by_round.values() if used is not None]
    value = wording.count(median(gas)) if gas else wording.ABSENT
    return Figure("gas a round", value, f"median; {wording.plural(len(summary.markets), 'market')}")


def _peak_score(run: RunSeries) -> Figure:
    peaks = [(float(np.nanmax(m.score)), m) for m in run.markets if m.present]
    if not peaks:
        return Figure("peak risk score", wording.ABSENT, "nothing on chain")
    score, series = max(peaks, key=lambda peak: peak[0])
    when = wording.short_moment(int(run.times_ms[int(np.nanargmax(series.score))]))
    return Figure("peak risk score", wording.count(score), f"{series.market}, {when}")


def _largest_requirement(summary: Summary) -> Figure:
    if not summary.requirement_by_round:
        return Figure("largest requirement", wording.ABSENT, "nothing on chain")
    at, largest = max(summary.requirement_by_round.items(), key=lambda item: item[1])
    times = {str(row.round): row.time_ms for row in summary.rounds}
    note = wording.short_moment(times[at]) if at in times else f"round {at}"
    return Figure("largest requirement", wording.usd(largest), note)


def _against_static(run: RunSeries) -> Figure:
    share = run.share_of_static
    return Figure("of the fixed grid", wording.percent(share, 0), "on average over the run")


def _breaches(summary: Summary) -> Figure:
    known = sum(row.move is not None for row in summary.realised)
    if not known:
        return Figure("beyond ES 99%", wording.ABSENT, "no window ended in the run")
    note = f"overlapping windows of {wording.duration(summary.mpor_s)}"
    return Figure("beyond ES 99%", f"{len(summary.breaches):,} of {known:,}", note)


def market_sentence(summary: Summary, series: MarketSeries) -> str:
    """The heading's sentence of one market."""
    if not series.present:
        return "Never on chain in this run."
    price = series.price[np.isfinite(series.price)]
    asked = series.requirement
    windows, beyond = int(np.isfinite(series.move).sum()), int(series.breach_starts.size)
    ended = "No window ended within the run."
    if windows:
        ended = f"{beyond or 'None'} of {wording.plural(windows, 'window')} ended beyond the expected shortfall."
    return (
        f"From {wording.usd(float(price[0]))} to {wording.usd(float(price[-1]))}, "
        f"lowest {wording.usd(float(price.min()))}. "
        f"{_forecast_range(series)}{_systemic(summary, series)}{_trust(summary, series.market)}"
        f"Collateral between {wording.usd(float(np.nanmin(asked)))} and {wording.usd(float(np.nanmax(asked)))}. "
        f"{ended}"
    )


def _systemic(summary: Summary, series: MarketSeries) -> str:
    """The worst of cascade and contagion, and how grave a day it was called."""
    if not np.isfinite(series.cascade).any():
        return ""
    likely, lost = float(np.nanmax(series.cascade)), float(np.nanmax(series.contagion))
    rows = [row.markets[series.market] for row in summary.rounds if series.market in row.markets]
    grave = [REGIMES.index(row.regime) for row in rows if row.regime in REGIMES]
    called = f" The day was called {REGIMES[max(grave)]} at its gravest." if grave else ""
    return (
        f"A liquidation cascade within a day was up to {wording.percent(likely)} likely, contagion could cost up to "
        f"{wording.percent(lost, 2)}.{called} "
    )


def _trust(summary: Summary, market: str) -> str:
    """What became of the forecasts' trust in themselves, if anything did."""
    rows = [row.markets[market] for row in summary.rounds if market in row.markets]
    counts = [(level, sum(row.drift == level for row in rows)) for level in LEVELS[1:]]
    told = [f"{SAID[level]} in {wording.plural(number, 'round')}" for level, number in counts if number]
    sentence = f"The models were seen to drift: {wording.listing(told)}. " if told else ""
    down, up = max(row.widening_down for row in rows), max(row.widening_up for row in rows)
    if max(down, up) - 1 < WORTH_SHOWING:
        return sentence
    return sentence + f"Experience widened falls by up to {down - 1:.0%}, rises by up to {max(up - 1, 0):.0%}. "


def _forecast_range(series: MarketSeries) -> str:
    forecast = series.sigma_forecast[np.isfinite(series.sigma_forecast)]
    if not forecast.size:
        return ""
    low, high = (wording.percent(float(end), 0) for end in (forecast.min(), forecast.max()))
    return f"Forecast volatility between {low} and {high}. "


def moments(summary: Summary, series: MarketSeries) -> tuple[Moment, ...]:
    """The round with the highest score and the one with the steepest rise in collateral, if they exist."""
    if not series.present:
        return ()
    rises = np.diff(series.requirement)
    chosen = [(int(np.nanargmax(series.score)), "Highest score")]
    if np.isfinite(rises).any() and np.nanmax(rises) > 0:
        chosen.append((int(np.nanargmax(rises)) + 1, "Steepest rise in collateral"))
    return tuple(_moment(summary, series, index, what) for index, what in chosen)


def _moment(summary: Summary, series: MarketSeries, index: int, what: str) -> Moment:
    row, state = summary.rounds[index], summary.rounds[index].markets[series.market]
    detail = f"{what}: {wording.count(state.score)}"
    if what.startswith("Steepest"):
        before, after = series.requirement[index - 1], series.requirement[index]
        detail = f"{what}: {wording.usd(float(before))} to {wording.usd(float(after))}"
    return Moment(detail, wording.moment(row.time_ms), row.round, top_reasons(state))


def top_reasons(state: MarketRow, most: int = REASONS_TOLD) -> tuple[Reason, ...]:
    """The largest parts of a score by size, whichever way they pull."""
    return tuple(sorted(state.reasons, key=lambda reason: -abs(reason.points))[:most])
