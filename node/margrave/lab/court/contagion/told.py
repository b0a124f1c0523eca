"""`margrave contagion`: the exposure graph of a round or of a folder, under a fall, in sentences and as a drawing."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from margrave.errors import Fatal, Rejected
from margrave.lab.court.contagion import found, picture
from margrave.operate.replay import open_journal
from margrave.score.contagion import overlap
from margrave.score.contagion.graph import Exposures, Floats
from margrave.score.contagion.holdings import Seen, seen
from margrave.score.contagion.served import Contagions, reached, sentence, shown
from margrave.score.registry import open_model
from margrave.settings import Settings
from margrave.verdicts import Rejection

MOST_LINES: Final = 12


@dataclass(frozen=True, slots=True)
class Told:
    """One graph under one fall."""

    title: str
    graph: Exposures
    loss: Floats
    """(N,)"""
    lines: tuple[str, ...]

    def encoded(self) -> dict[str, Any]:
        names, edges = self.graph.names, self.graph.edges()
        return {
            "title": self.title,
            "nodes": [
                {"name": name, "kind": kind.value, "usd": float(size), "loss": float(lost)}
                for name, kind, size, lost in zip(names, self.graph.kinds, self.graph.size, self.loss, strict=True)
            ],
            "edges": [
                {"from": edge.src, "to": edge.dst, "usd": edge.usd, "evidence": edge.evidence.value} for edge in edges
            ],
            "lines": list(self.lines),
        }

    def drawn(self, folder: Path) -> list[Path]:
        return picture.write(self.graph, self.loss, self.title, folder)


def of_round(settings: Settings, round_: int) -> list[Told]:
    """The graph that a round's snapshot shows, each market falling by its ES99 in turn; drawn where most is lost.

    Raises:
        Rejected: the journal does not hold the round, or no market of it was scored.
        Fatal: there is no journal, or the model that policy.toml names does not open.
    """
    with contextlib.closing(open_journal(settings)) as journal:
        snapshot, scores = journal.snapshot(round_), journal.scores(round_)
    ladders = {row.market: row.ladder for row in scores.markets}
    if not ladders:
        advice = "choose another: margrave replay --list"
        raise Rejected(Rejection.EMPTY, f"round {round_} scored no market", advice=advice)
    name = settings.policy.models.contagion
    asked = Contagions(None if name is None else open_model(settings.node.registry_dir, name))
    known = seen(snapshot.markets, ladders)
    hurt = asked.hurt(known)
    worst = dict(zip(known.markets, known.worst.tolist(), strict=True))
    said = asked.forecast(snapshot.markets, ladders)
    lines = [
        f"{market}: add-on {contagion.addon:.2%}"
        + ("" if contagion.rank is None else f", {contagion.rank:.0%} of what markets take from each other")
        + "".join(f"; {sentence(path, worst)}" for path in contagion.paths)
        + "".join(f"; nobody told {what.replace('_', ' ')}" for what in contagion.masked)
        for market, contagion in said.items()
    ]
    source = int(np.argmax(reached(known, hurt)[: len(known.markets)].sum(axis=1)))
    title = f"Round {round_}: {known.markets[source]} falls by {known.worst[source]:.1%}"
    return [Told(title, *_with_others(known, hurt, source), tuple(lines))]


def of_folder(data: Path, fall: float, assets: Sequence[str], depth: float) -> list[Told]:
    """Every graph that a folder holds, with a fall of some assets, or of all.

    Raises:
        Fatal: the folder holds no exposures, or a graph of it none of the assets; the fall or the depth is none.
    """
    if not 0 < fall <= 1:
        raise Fatal(f"a fall of {fall:g} is no share", advice="write --fall 0.3 for 30 %")
    if not depth > 0:
        advice = "write --depth 1: selling all that is shown costs a factor e"
        raise Fatal(f"a depth of {depth:g} is none", advice=advice)
    graphs, _ = found.read(data)
    if not graphs:
        raise Fatal(f"{data} holds no exposures", advice="point --data at positions, liquidations, histories or pools")
    told = [_fallen(one, fall, assets, depth) for one in graphs]
    kept = [each for each in told if each is not None]
    if not kept:
        raise Fatal(f"no graph of {data} holds {', '.join(assets)}", advice="leave --asset out to let all fall")
    return kept


def _fallen(one: found.Found, fall: float, assets: Sequence[str], depth: float) -> Told | None:
    graph = found.deepened(one.graph, depth)
    named = np.array([name in assets for name in graph.names], dtype=np.bool_) & graph.priced
    hit = named if assets else found.roots(graph)
    if not hit.any():
        return None
    ended = overlap.clear(graph, np.where(hit, fall, 0.0))
    loss = ended.loss[0]
    lost = loss * graph.size
    others = [place for place in np.argsort(-lost, kind="stable") if not graph.forced[place] and loss[place] > 0]
    sold = float(np.sum(ended.sold[0] * graph.forced * np.minimum(graph.claims, graph.size)))
    who = f"{', '.join(assets)} falls" if assets else "all assets fall"
    lines = [
        f"{one.label}: {len(graph)} nodes, {len(graph.src)} exposures; {who} by {fall:.0%}, and {sold:,.0f} USD are "
        "sold by force",
        *(f"  {graph.names[place]} loses {loss[place]:.1%}, {lost[place]:,.0f} USD" for place in others[:MOST_LINES]),
        *(f"  left out: {words}" for words in one.left_out),
    ]
    return Told(f"{one.label}: a fall of {fall:.0%}", graph, loss, tuple(lines))


def _with_others(known: Seen, hurt: Floats, source: int) -> tuple[Exposures, Floats]:
    """The graph with what falls together drawn in, and what the source's fall takes from each node in all."""
    loss = hurt[source].copy()
    for place, name in enumerate(known.markets):
        if place != source:
            loss[known.graph.place(name)] = reached(known, hurt)[source, place]
    return shown(known), loss
