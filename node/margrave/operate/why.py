"""Why a market's score is what it is, in sentences for those who must answer for a decision that follows it: what each
group of inputs adds, why it moved, what others do to it, and what would bring it below a threshold. A recorded round is
made again for it, by the models that scored it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from margrave.errors import Rejected
from margrave.messages import Attributed, MarketScores
from margrave.score import calm, composite
from margrave.score.attribution import Attribution, attributed, calm_world, finer
from margrave.score.carried import Carried
from margrave.score.coalitions import FIELDS, Facts, Input, PathPart, World, world_of
from margrave.score.counterfactual import Counterfactual, Lever, Needed, Scene, counterfactual
from margrave.score.scores import Scorer
from margrave.store.journal import Journal

WORTH_TELLING: Final = 0.5
"""Points: what rounds to none is left out."""
MOST_PATHS: Final = 5
BY: Final[Mapping[str, str]] = {
    Input.PATH: "by its price path",
    Input.IMPLIED: "by its volatility index and funding",
    Input.CHAIN: "by its option chain",
    Input.BOOK: "by its order books",
    Input.OPEN_INTEREST: "by its open interest",
    Input.LENDING: "by the health of loans and accounts",
    Input.OTHERS: "by the other markets",
    Input.EXPERIENCE: "by what came of earlier forecasts",
    PathPart.RANGE: "by how far its hours reach",
    PathPart.MOVES: "by its moves and their trend",
    PathPart.VOLUME: "by what was traded",
    PathPart.RUNNING: "by the move since the last close",
    PathPart.CLOSES: "by the newest hour and the closes before it",
}
NEEDS: Final[Mapping[Input, tuple[str, ...]]] = {
    Input.IMPLIED: ("vol_index", "funding_8h"),
    Input.BOOK: ("half_spread", "depth_usd"),
    Input.OPEN_INTEREST: ("open_interest_usd",),
    Input.LENDING: ("collateral_ratio",),
}
"""What a group is empty without."""
SAFE_SIDE: Final = frozenset({Input.BOOK, Input.OPEN_INTEREST, Input.LENDING})
"""Groups in whose absence the score takes the safe side; the models do without an index, and know that they do."""
assert all(set(fields) <= set(FIELDS[group]) for group, fields in NEEDS.items())


@dataclass(frozen=True, slots=True)
class Why:
    """Sentences; every list is in the order in which it is told. And the figures behind them."""

    added: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()
    systemic: tuple[str, ...] = ()
    instead: tuple[str, ...] = ()
    reference: str = calm.NAME
    reference_score: float | None = None
    points: Mapping[str, float] | None = None
    path_points: Mapping[str, float] | None = None
    moved_points: Mapping[str, float] | None = None
    counterfactual: Counterfactual | None = None

    def lines(self) -> list[str]:
        return [*self.added, *self.moved, *self.systemic, *self.instead]


@dataclass(frozen=True, slots=True)
class Made:
    """A recorded round, made again."""

    round: int
    as_of_ms: int
    world: World
    rows: Mapping[str, MarketScores]


def made_again(scorer: Scorer, journal: Journal, round_: int) -> Made:
    """
    Raises:
        Rejected: the journal does not hold the round whole.
    """
    snapshot = journal.snapshot(round_)
    scores, states = scorer.score(snapshot, journal.surfaces(round_), journal.carried(round_, Carried))
    rows = {row.market: row for row in scores.markets}
    return Made(round_, snapshot.as_of_ms, world_of(snapshot, scores, states), rows)


def why(scorer: Scorer, journal: Journal, round_: int, market: str, *, below: float, in_parts: bool) -> Why:
    """
    Args:
        below: what the score is asked to be less than, points.
        in_parts: whether the price path is told in its parts; that takes some seconds.

    Returns:
        Nothing where the round did not score the market, or other models did.
    """
    try:
        recorded = journal.scores(round_)
    except Rejected:
        return Why()
    if all(row.market != market for row in recorded.markets):
        return Why()
    if recorded.model_set != scorer.model_set:
        return Why(added=("Other models scored it than this node has now: what its inputs add is not made again.",))
    made = made_again(scorer, journal, round_)
    row = made.rows[market]
    quiet = calm_world(scorer, made.world)
    found = attributed(scorer, market, made.world, quiet, calm.NAME)
    parts = finer(scorer, market, made.world, quiet) if in_parts else ()
    before = _before(scorer, journal, round_, market)
    since = None if before is None else attributed(scorer, market, made.world, before.world, str(before.round))
    instead = counterfactual(Scene.of(scorer, made.world, made.rows, market), below, found)
    return Why(
        added=tuple(_added(found, parts, made.world[market])),
        moved=() if before is None or since is None else tuple(_moved(since, before, made)),
        systemic=tuple(_systemic(row)),
        instead=tuple(_instead(instead)),
        reference_score=None if found is None else found.base,
        points=None if found is None else _points(found.parts),
        path_points=_points(parts) if parts else None,
        moved_points=None if since is None else _points(since.parts),
        counterfactual=instead,
    )


def _before(scorer: Scorer, journal: Journal, round_: int, market: str) -> Made | None:
    """The newest earlier round that scored the market by the same models."""
    for earlier in reversed([each for each in journal.rounds() if each < round_]):
        try:
            scores = journal.scores(earlier)
        except Rejected:
            continue
        if scores.model_set != scorer.model_set:
            return None
        if any(row.market == market for row in scores.markets):
            return made_again(scorer, journal, earlier)
    return None


def _points(parts: Sequence[Attributed]) -> dict[str, float]:
    return {part.name: part.points for part in parts}


def _added(found: Attribution | None, parts: Sequence[Attributed], facts: Facts) -> list[str]:
    if found is None:
        return ["What its inputs add cannot be told: the models refuse a calm day's figures beside its own."]
    told = [
        f"A calm day at this hour ({calm.NAME}, docs/explain.md) would score {found.base:,.0f}. What is known adds "
        f"{found.total - found.base:+,.0f}:"
    ]
    for part in _largest(found.parts):
        told.append(f"  {part.points:+,.0f} {BY[part.name]}{_untold(Input(part.name), facts)}")
        if part.name == Input.PATH:
            told += [f"    {each.points:+,.0f} {BY[each.name]}" for each in _largest(parts)]
    if found.total > composite.CAP:
        told.append(f"  They are parts of {found.total:,.0f}; what is published is capped at {composite.CAP:,.0f}.")
    return told


def _untold(group: Input, facts: Facts) -> str:
    missing = [name for name in NEEDS.get(group, ()) if getattr(facts.market, name) is None]
    side = ": the safe side is taken" if group in SAFE_SIDE else ""
    return f" (nobody told {', '.join(missing)}{side})" if missing else ""


def _largest(parts: Sequence[Attributed]) -> list[Attributed]:
    return sorted((part for part in parts if abs(part.points) >= WORTH_TELLING), key=lambda part: -abs(part.points))


def _moved(since: Attribution, before: Made, now: Made) -> list[str]:
    minutes = round((now.as_of_ms - before.as_of_ms) / 60_000)
    begin = f"Since round {before.round}, {minutes} minutes before, it moved by {since.total - since.base:+,.0f}"
    told = ", ".join(f"{part.points:+,.0f} {BY[part.name]}" for part in _largest(since.parts))
    return [f"{begin}: {told}." if told else f"{begin}, and nothing in it by half a point."]


def _systemic(row: MarketScores) -> list[str]:
    formula = {
        name: " (by the formula: no model spoke)" if name in row.fallbacks else "" for name in ("cascade", "contagion")
    }
    told = [
        f"A cascade of liquidations is {row.cascade_probability_1h:.2%} likely within the hour and "
        f"{row.cascade_probability:.2%} within a day; it would take another {row.cascade_size:.1%} off the price"
        f"{formula['cascade']}.",
        f"Stress elsewhere can add {row.contagion:.2%}{formula['contagion']}.",
    ]
    if row.contagion_rank is not None:
        told.append(f"Its own distress would be {row.contagion_rank:.0%} of all others' losses.")
    told += [
        f"  {path.source} hurts {path.target} by {path.loss:.2%} of its value"
        for path in row.contagion_paths[:MOST_PATHS]
    ]
    return told


def _instead(found: Counterfactual) -> list[str]:
    if found.holds:
        return [f"It is below {found.below:,.0f} already."]
    able = [each for each in found.alone if each.needed is not None]
    unable = [each.lever for each in found.alone if each.needed is None]
    told = [f"For a score below {found.below:,.0f}:"]
    told += [f"  alone, {_needed(each)}" for each in able]
    if unable:
        told.append(f"  no value alone of {', '.join(NAMED[lever] for lever in unable)} would do")
    if found.together:
        told.append("  together, " + "; ".join(_needed(each) for each in found.together))
    if found.fewest:
        told.append(f"  or as on the calm day: {' and '.join(found.fewest)}")
    else:
        told.append("  and not on a calm day either")
    return told


NAMED: Final[Mapping[Lever, str]] = {
    Lever.TAIL: "its own tail",
    Lever.IMPLIED: "implied volatility",
    Lever.DEPTH: "depth",
    Lever.OPEN_INTEREST: "open interest",
    Lever.COLLATERAL: "accounts' collateral",
    Lever.OTHERS: "the other markets' tails",
}


def _needed(each: Needed) -> str:
    assert each.needed is not None, "asked of what would do"
    match each.lever:
        case Lever.TAIL:
            return f"its worst 1 % would have to average {each.needed:.2%} (now {each.now:.2%})"
        case Lever.IMPLIED:
            return f"30-day implied volatility would have to be {each.needed:.1%} (now {each.now:.1%})"
        case Lever.DEPTH:
            return f"depth within 1 % would have to be {each.needed:,.0f} USD (now {each.now:,.0f})"
        case Lever.OPEN_INTEREST:
            return f"open interest would have to be {each.needed:,.0f} USD (now {each.now:,.0f})"
        case Lever.COLLATERAL:
            return f"accounts would have to hold {each.needed:.2f} times their maintenance margin (now {each.now:.2f})"
        case Lever.OTHERS:
            return f"the other markets' worst 1 % would have to average {each.needed:.2%} (now {each.now:.2%})"
