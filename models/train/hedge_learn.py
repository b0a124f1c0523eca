"""How the band network is trained: gradient descent on CVaR of hedged paths, through every hour of each path.

Reinforcement learning with the model of the market at hand: the reward is the hedging loss of the worst 5 % of paths,
the policy's gradient is taken along the paths themselves (deep hedging: Buehler, Gonon, Teichmann and Wood 2019,
Quantitative Finance 19), and no value function is learnt. Only paths in the tail have a gradient, so only they are
followed with one: every few visits all are, to see which they are.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from margrave.lab.court.hedge.episodes import TAIL, Episodes, Kind, cvar, hedged, unhedged
from margrave.score.hedge.bands import black_scholes, clock, total_vol
from margrave.score.hedge.served import columns
from train.hedge_net import Bands, outcome, worst

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

POOL: Final = 0.5
"""Share of the paths that are kept: the worst under each of some clocks, of which alone the tail will consist."""
REFERENCES_H: Final = (1, 8)
FRESH: Final = 4
"""Visits after which a cell's candidates for the tail are found again."""
CANDIDATES: Final = 1.6
"""Times the tail."""
CELLS_A_STEP: Final = 2
RATE: Final = 6e-3
WARM_UP: Final = 10
COOLED: Final = 400
"""Steps after which the rate is least, whether or not training goes on so long."""
DECAY: Final = 1e-3
SMOOTHED: Final = 0.97
"""Weight of the past in the mean of parameters that is published: single steps follow single crashes."""


@dataclass
class Cell:
    """One kind of option on one source of paths at one cost."""

    name: str
    kind: Kind
    cost: float
    state: Tensor
    """(life * paths, COLUMNS) without moneyness and cost."""
    spot: Tensor
    """(life + 1, paths)."""
    open_loss: Tensor
    """(paths,) without any hedge."""
    scale: Tensor
    """(paths,) what losses are told in: the forecast deviation of the life, so that no coin outweighs another."""
    tail: int
    reference: float
    """Least CVaR of `REFERENCES_H`, in the same unit."""
    candidates: Tensor | None = None
    visits: int = 0

    def losses(self, net: Bands, paths: Tensor | None = None) -> Tensor:
        life = self.kind.life_h
        spot = self.spot if paths is None else self.spot[:, paths]
        state = self.state.view(life, -1, self.state.shape[1])
        asked = (state if paths is None else state[:, paths]).clone()
        asked[:, :, 0] = torch.log(spot[:-1] / self.kind.strike)
        asked[:, :, 3] = self.cost
        lower, upper = net(asked.view(-1, asked.shape[2]))
        count = spot.shape[1]
        gained, traded = outcome(lower.view(life, count), upper.view(life, count), spot, is_call=self.kind.is_call)
        loss = (self.open_loss if paths is None else self.open_loss[paths]) - gained + self.cost * traded
        return loss / (self.scale if paths is None else self.scale[paths])


def cells(
    name: str, sold: Episodes, strikes: Sequence[tuple[float, bool]], costs: Sequence[float], *, scaled: bool = True
) -> list[Cell]:
    """All cells of one source, on the paths that may come into the tail.

    Args:
        scaled: losses in forecast deviations of the life; else in shares of the spot, as the court tells them.
    """
    found = []
    scale = total_vol(sold.vol[0], np.array(float(sold.life_h))) if scaled else np.ones(sold.paths)
    for strike, is_call in strikes:
        kind = Kind(sold.life_h, strike, is_call)
        totals = [total_vol(vol, sold.hours_left) for vol in (sold.vol, sold.vol[:1])]
        deltas = [black_scholes(sold.log_moneyness(strike), total) for total in totals]
        outcomes = [hedged(sold, kind, clock(delta, every)) for delta in deltas for every in REFERENCES_H]
        wanted = int(POOL * sold.paths / len(outcomes))
        kept = np.unique(np.concatenate([np.argsort(-loss / scale)[:wanted] for loss, _ in outcomes]))
        part = sold.some(kept)
        state = _tensor(
            columns(np.zeros(1), _flat(part.hours_left, part), part.vol.ravel(), np.zeros(1), part.flat_state)
        )
        for cost in costs:
            reference = min(cvar((loss + cost * traded) / scale) for loss, traded in outcomes)
            found.append(
                Cell(
                    f"{name} {kind.name} {1e4 * cost:.0f} bp", kind, cost, state, _tensor(part.spot),
                    _tensor(unhedged(part, kind)), _tensor(scale[kept]), int(TAIL * sold.paths), reference,
                )
            )  # fmt: skip
    return found


def learn(todo: Sequence[Cell], steps: int, seed: int, look: Callable[[int, Bands], None], every: int) -> Bands:
    """The smoothed network after so many steps.

    Args:
        look: is shown the step and the smoothed network `every` so many of them.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    net = Bands()
    smoothed = copy.deepcopy(net)
    optimiser = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=DECAY)
    for step in range(1, steps + 1):
        for group in optimiser.param_groups:
            group["lr"] = RATE * min(step / WARM_UP, 1.0) * max(1.0 - step / COOLED, 0.05)
        optimiser.zero_grad()
        for place in rng.choice(len(todo), CELLS_A_STEP, replace=False):
            cell = todo[int(place)]
            if cell.visits % FRESH == 0:
                with torch.no_grad():
                    losses = cell.losses(net)
                cell.candidates = torch.topk(losses, min(int(CANDIDATES * cell.tail), len(losses))).indices
            cell.visits += 1
            aim = worst(cell.losses(net, cell.candidates), cell.tail) / (CELLS_A_STEP * cell.reference)
            aim.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        with torch.no_grad():
            keep = min(SMOOTHED, step / (step + 10))
            for mean, new in zip(smoothed.parameters(), net.parameters(), strict=True):
                mean.mul_(keep).add_(new, alpha=1.0 - keep)
        if step % every == 0:
            look(step, smoothed)
    return smoothed


def ratios(net: Bands, todo: Sequence[Cell]) -> dict[str, float]:
    """CVaR over the reference's, by cell."""
    with torch.no_grad():
        return {cell.name: float(worst(cell.losses(net), cell.tail)) / cell.reference for cell in todo}


def said(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def _tensor(values: Floats) -> Tensor:
    return torch.tensor(np.ascontiguousarray(values), dtype=torch.float32)


def _flat(hours_left: Floats, sold: Episodes) -> Floats:
    return np.broadcast_to(hours_left, sold.vol.shape).ravel()
