"""The contagion chamber: does the network order nodes by distress as full clearing does and how much sooner, which
exposures change from week to week, and who would have been flagged when a stablecoin broke."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np

from margrave.errors import Fatal
from margrave.lab.court.chamber import Case, Figure, Ruling, Table
from margrave.lab.court.contagion import case as cases
from margrave.lab.court.contagion import edges, found, picture, ranking
from margrave.lab.court.contagion.case import Replayed
from margrave.lab.court.contagion.edges import Foretold
from margrave.lab.court.contagion.ranking import NETWORK, Ranked
from margrave.lab.court.target import Goal, Target
from margrave.score.contagion import network, overlap
from margrave.score.registry import Model, open_model
from margrave.settings import REGISTRY
from margrave.spans import HOUR_MS

MODEL: Final = f"{network.FAMILY}/1"
RANK: Final = Goal("rank of distress beyond the shock, Spearman with full clearing", 0.95, "", at_least=True)
SPEED: Final = Goal("full clearing's time over the network's, a scenario", 100.0, "x", at_least=True)
EDGES: Final = Goal("changed-edge AUPRC over persistence's", 1.3, "x", at_least=True)
TITLE: Final = "Contagion"
TOLD: Final = 4
"""Markets drawn of the case: those that fell furthest, and the first two of the list beside them."""
DRAWN_FALL: Final = 0.30
MOST_DRAWN: Final = 200
"""Nodes of a graph that is worth drawing."""
SAID: Final = 6


@dataclass(frozen=True)
class Contagion:
    registry: Path = REGISTRY
    kind: str = "contagion"
    about: str = "distress through exposure graphs against full clearing, their changing edges, a broken peg replayed"
    goals: tuple[Goal, ...] = (RANK, SPEED, EDGES)

    def judge(self, case: Case) -> Ruling:
        model, silent = self._model()
        graphs, unread = found.read(case.data)
        silent += unread[:SAID]
        for one in graphs:
            silent += [f"{one.label}: {words}" for words in one.left_out]
        if not graphs:
            silent.append("the folder holds no exposures (positions, liquidations, account histories, pools)")
        ranked = ranking.ranked(model, graphs, quick=case.study.quick, say=case.say)
        case.say("contagion: edges")
        told = [(one.source, edges.foretold(one)) for one in edges.histories(case.data)]
        silent += [f"{source}: too few weeks to foretell edges" for source, said in told if said is None]
        if not told:
            silent.append("the folder holds no liquidations with collateral and debt: edges were not foretold")
        case.say("contagion: the worst broken peg")
        replayed = cases.replayed(case.data, case.panel, model)
        if isinstance(replayed, str):
            silent.append(replayed)
        known = [(source, said) for source, said in told if said is not None]
        shown = None if isinstance(replayed, str) else replayed
        return Ruling(
            kind=self.kind,
            title=TITLE,
            summary=_summary(ranked, known, shown),
            tables=(*_ranks(ranked), *_times(ranked), *_edges(known), *_case(shown)),
            figures=tuple(_figures(graphs, shown)),
            targets=(*_rank(ranked, model), *_speed(ranked, model), *_changed(known)),
            silent=tuple(silent),
        )

    def _model(self) -> tuple[Model | None, list[str]]:
        try:
            return open_model(self.registry, MODEL), []
        except Fatal as error:
            return None, [f"{MODEL}: {error}"]


def unseen(ranked: Ranked) -> list[str]:
    """Kinds of graph that the network was not trained on."""
    return [kind for kind in ranked.scores if not kind.startswith("drawn") or kind.endswith("unseen")]


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


# --- ranks and times --------------------------------------------------------------------------------------------------


def _rank(ranked: Ranked, model: Model | None) -> Iterator[Target]:
    if model is None:
        yield RANK.unmeasured("the network did not open")
        return
    kinds = {kind: _mean(ranked.scores[kind][NETWORK].beyond) for kind in unseen(ranked)}
    known = {kind: value for kind, value in kinds.items() if value is not None}
    if not known:
        yield RANK.unmeasured("no scenario spread beyond its shock")
        return
    worst = min(known, key=lambda kind: known[kind])
    broken = [_mean(ranked.scores[kind][ranking.BROKEN_OFF].beyond) or 0.0 for kind in known]
    note = (
        f"mean over {len(known)} kinds of graph not trained on; the worst, {worst}, {known[worst]:.3f}; "
        f"{ranking.BROKEN_OFF}: {np.mean(broken):.3f}"
    )
    yield RANK.measured(float(np.mean(list(known.values()))), note)


def _speed(ranked: Ranked, model: Model | None) -> Iterator[Target]:
    ratios = [ratio for each in ranked.ratios.values() for ratio in each]
    if model is None or not ratios:
        yield SPEED.unmeasured("the network did not open")
        return
    textbook = sum(seconds / count for seconds, count in ranked.textbook.values())
    ours = sum(
        ranked.scores[kind][NETWORK].seconds / max(ranked.scores[kind][NETWORK].scenarios, 1)
        for kind in ranked.textbook
    )
    iterated = sum(seconds / count for kind, (seconds, count) in ranked.iterated.items() if kind in ranked.textbook)
    note = (
        "one scenario of every kind of graph, the textbook's way over the network's batch; of single graphs the median "
        f"{np.median(ratios):.0f}, from {min(ratios):.0f} to {max(ratios):.0f}; the clearing iterated as one array "
        f"takes {iterated / ours:.1f} times the network's time"
    )
    yield SPEED.measured(textbook / ours, note)


def _ranks(ranked: Ranked) -> Iterator[Table]:
    methods = list(dict.fromkeys(name for by_method in ranked.scores.values() for name in by_method))
    if not methods:
        return
    for title, part in (("beyond the shock", "beyond"), ("of the whole loss", "whole")):
        rows = []
        for kind, by_method in ranked.scores.items():
            sizes = ranked.nodes[kind]
            spread = f"{min(sizes)} to {max(sizes)}" if len(set(sizes)) > 1 else str(sizes[0])
            rows.append((kind, spread, *(_mean(getattr(by_method[name], part)) for name in methods)))
        yield Table(
            f"Spearman with full clearing, {title}",
            ("graphs", "nodes", *methods),
            tuple(rows),
            "Over the nodes of a graph, mean over scenarios. Losses under a basis point count as none. No number: "
            "nothing spread. Depth: e-fold depth of an asset over all of it that is shown as collateral.",
        )
    rows_error = [
        (kind, *(_mean(by_method[name].error) for name in methods[:2])) for kind, by_method in ranked.scores.items()
    ]
    yield Table("Mean absolute error of loss shares", ("graphs", *methods[:2]), tuple(rows_error))


def _times(ranked: Ranked) -> Iterator[Table]:
    rows = []
    for kind, by_method in ranked.scores.items():
        ours = by_method.get(NETWORK)
        mine = None if ours is None else 1e6 * ours.seconds / max(ours.scenarios, 1)
        textbook, iterated = ranked.textbook.get(kind), ranked.iterated[kind]
        slow = None if textbook is None else 1e6 * textbook[0] / textbook[1]
        fair = 1e6 * iterated[0] / iterated[1]
        rows.append(
            (kind, slow, fair, mine, slow / mine if slow and mine else None, fair / mine if mine else None)
        )  # fmt: skip
    yield Table(
        "Microseconds a scenario",
        (
            "graphs",
            "textbook",
            "iterated, one array",
            "network, one batch",
            "textbook over network",
            "iterated over it",
        ),
        tuple(rows),
        "One thread. The textbook clears one scenario at a time, prices outside and fictitious default inside; the "
        "fair rival iterates the same clearing on all scenarios at once.",
    )


# --- edges ------------------------------------------------------------------------------------------------------------


def _changed(told: Sequence[tuple[str, Foretold]]) -> Iterator[Target]:
    if not told:
        yield EDGES.unmeasured("the folder holds no weekly history of exposures that is long enough")
        return
    said = max((each for _, each in told), key=lambda each: each.weeks)
    note = (
        f"{said.weeks} weeks, {said.pairs} pairs; over the best ranking, {said.best}, {said.over_best:.2f} "
        f"[{said.low:.2f}, {said.high:.2f}]"
    )
    yield EDGES.measured(said.over_persistence, note)


def _edges(told: Sequence[tuple[str, Foretold]]) -> Iterator[Table]:
    for source, said in told:
        names = list(said.precision["changed"])
        rows: list[tuple[str | float | None, ...]] = [
            (name, *(said.precision[what][name] for what in said.precision)) for name in names
        ]
        yield Table(
            f"Average precision of next week's edges, {source}",
            ("", *said.precision),
            (*rows, ("share that does", *(said.base[what] for what in said.precision))),
            "Pairs of collateral and debt that were liquidated before; an edge is a pair liquidated in the week. "
            "Persistence says of all alike that nothing changes.",
        )


# --- the case ---------------------------------------------------------------------------------------------------------


def _case(replayed: Replayed | None) -> Iterator[Table]:
    if replayed is None:
        return
    when = datetime.fromtimestamp(replayed.broke_ms / 1000, UTC)
    yield Table(
        f"{replayed.stablecoin} broke at {when:%Y-%m-%d %H:%M} UTC and fell to {replayed.lowest:.2f}",
        (
            "market", "usual add-on, %", "highest, %", "flagged, h", "formula alone, h", "down 15 %, h", "lowest, %",
            "flagged in vain, %",
        ),
        tuple(
            (
                each.market, 100 * each.usual, 100 * each.highest, each.flagged_h, each.formula_h, each.fell_h,
                -100 * each.lowest, 100 * each.in_vain,
            )
            for each in replayed.flagged
        ),
        "Hours count from the break. Flagged: the add-on is over twice its median of the fortnight before; in vain: of "
        "the hours before, up to a day before the break. The formula alone reads no peg.",
    )  # fmt: skip


def _figures(graphs: Sequence[found.Found], replayed: Replayed | None) -> Iterator[Figure]:
    for one in graphs:
        if len(one.graph) <= MOST_DRAWN:
            graph = found.deepened(one.graph, 1.0)
            loss = overlap.clear(graph, np.where(found.roots(graph), DRAWN_FALL, 0.0)).loss[0]
            note = (
                f"All assets but stablecoins fall by {DRAWN_FALL:.0%} at once; shares are what each loses in the end."
            )
            yield Figure(f"Who hurts whom: {one.label}", picture.svg(graph, loss), note)
    if replayed is not None:
        told = [each.market for each in replayed.flagged]
        shown = list(dict.fromkeys([*told[:2], *(name for name in ("BTC", "ETH") if name in told)]))[:TOLD]
        broke = int(np.searchsorted(replayed.close_ms, replayed.broke_ms))
        hours = (replayed.close_ms - replayed.broke_ms) / HOUR_MS
        lines = [(name, replayed.addons[name], replayed.price[name] / replayed.price[name][broke]) for name in shown]
        yield Figure(
            f"{replayed.stablecoin} breaks",
            picture.story(hours, replayed.peg, replayed.stablecoin, lines),
            "Every hour with what was known by then.",
        )


def _summary(ranked: Ranked, told: Sequence[tuple[str, Foretold]], replayed: Replayed | None) -> str:
    kinds = len(ranked.scores)
    words = [f"Losses by full clearing of {kinds} kinds of graph, against a network and what is simpler."]
    for source, said in told:
        words.append(
            f"Of {source}, changes of edges are foretold {said.over_persistence:.1f} times as well as by persistence, "
            f"and {said.over_best:.2f} times as well as by {said.best}."
        )
    if replayed is not None:
        early = [each for each in replayed.flagged if each.fell_h is not None]
        ahead = [each for each in early if each.flagged_h is not None and each.flagged_h <= (each.fell_h or 0)]
        words.append(
            f"When {replayed.stablecoin} broke, {len(ahead)} of the {len(early)} markets that then lost 15 % had been "
            "flagged before they had."
        )
    return " ".join(words)
