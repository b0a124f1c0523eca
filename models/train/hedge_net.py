"""The no-trade-band network in torch, and the path of what it holds, differentiable from end to end.

After Imaki, Imajo, Ito, Minami and Nakagawa 2021 ("No-transaction band network", arXiv 2103.01775): the network says
two bounds, and what is held is clamped between them, so that the holdings need not be an input of the network. The
bounds lie around a corrected delta, as far from it as the band of Whalley and Wilmott times a learnt factor.
"""

from __future__ import annotations

from typing import Final, cast

import numpy as np
import torch
from torch import Tensor, nn

from margrave.score.hedge.market import GAPS_H
from margrave.score.hedge.served import COLUMNS
from margrave.spans import YEAR_H

HIDDEN: Final = 16
AGES: Final = len(GAPS_H)
INPUTS: Final = 6 + AGES
HEADS: Final = 4 + AGES


FURTHEST: Final = 1.5
"""Standard moneyness: the most that the delta's is moved by."""
TRUSTED_VOL: Final = (4.0, 6.0)
"""Annual, of what is usual for a coin. What the network says fades out between: a coin whose every week is wilder than
the worst it was trained on is hedged as the classics do. LUNA after its end, in 2022, taught this; a crash day of any
other coin is no such week."""


NEAR: Final = (0.5, 1.0)
"""Distance of the logarithms of spot and strike: as published, what the network says fades out between, for the same
reason. DOGE, ninefold in two days of January 2021, taught this."""


def near(log_moneyness: Tensor) -> Tensor:
    """Share of the network's corrections that is kept."""
    low, high = NEAR
    return torch.clamp((high - torch.abs(log_moneyness)) / (high - low), 0, 1)


def trusted(usual_vol: Tensor) -> Tensor:
    """Share of the network's corrections that is kept."""
    low, high = TRUSTED_VOL
    return torch.clamp((high - usual_vol) / (high - low), 0, 1)


class Bands(nn.Module):
    """`columns` (n, COLUMNS) to (lower, upper), each (n,), of the call.

    The factor of the width does not depend on the cost, so that the width goes as its cube root: more cost, wider
    band, and no cost, none. What the network corrects is bounded: standard moneyness by a factor of e^+-1/2, and by
    what the price's distances to its recent means make of it, `FURTHEST` at most.
    """

    def __init__(self) -> None:
        super().__init__()
        self.guarded = False
        """As published: `near` applies. Paths to learn from hold nothing that it would keep out."""
        self.first = nn.Linear(INPUTS, HIDDEN)
        self.second = nn.Linear(HIDDEN, HIDDEN)
        self.heads = nn.Linear(HIDDEN, HEADS)
        nn.init.zeros_(self.heads.weight)
        nn.init.zeros_(self.heads.bias)

    def forward(self, columns: Tensor) -> tuple[Tensor, Tensor]:
        log_moneyness, hours, vol, cost = (columns[:, place] for place in range(4))
        gaps = columns[:, len(COLUMNS) - AGES :]
        usual = vol * torch.exp(-columns[:, 6])
        total = vol * torch.sqrt(hours / YEAR_H)
        d1 = log_moneyness / total + total / 2
        ages = torch.tensor(GAPS_H, dtype=columns.dtype) / YEAR_H
        surprise = gaps / (vol[:, None] * torch.sqrt(ages))
        state = torch.stack(
            [torch.clamp(d1, -4, 4) / 1.5, torch.log(hours / 100) / 1.5, torch.log(total / 0.1), *columns[:, 4:7].T],
            dim=1,
        )
        share = trusted(usual) * near(log_moneyness) if self.guarded else trusted(usual)
        hidden = torch.tanh(self.first(torch.cat((state, torch.clamp(surprise, -6, 6) / 2), dim=1)))
        said = torch.tanh(self.heads(torch.tanh(self.second(hidden)))) * share[:, None]
        lagged = torch.sum(said[:, 4:] * torch.clamp(gaps / total[:, None], -3, 3), dim=1)
        moved = FURTHEST * torch.tanh((0.5 * said[:, 1] + lagged) / FURTHEST)
        centre = torch.special.ndtr(d1 * torch.exp(0.5 * said[:, 0]) + moved)
        gamma = torch.exp(-0.5 * d1 * d1) / (np.sqrt(2 * np.pi) * total)
        # the cube root by way of the logarithm, which graphs have; without a cost there is no band
        band = torch.exp(torch.log(1.5 * cost * gamma * gamma + 1e-30) / 3)
        below = band * torch.exp(2 * said[:, 2] - 2)
        above = band * torch.exp(2 * said[:, 3] - 2)
        return torch.clamp(centre - below, 0, 1), torch.clamp(centre + above, 0, 1)


def outcome(lower: Tensor, upper: Tensor, spot: Tensor, *, is_call: bool) -> tuple[Tensor, Tensor]:
    """(gained, traded) along each path, both (paths,): `episodes.hedged` for tensors.

    Args:
        lower: (life, paths), as `upper`.
        spot: (life + 1, paths).
    """
    now = (lower[0] + upper[0]) / 2
    path = [now]
    for low, high in zip(lower[1:], upper[1:], strict=True):
        now = torch.minimum(torch.maximum(now, low), high)
        path.append(now)
    holdings = torch.stack(path) if is_call else torch.stack(path) - 1.0
    gained = torch.sum(holdings * (spot[1:] - spot[:-1]), dim=0)
    traded = torch.sum(torch.abs(holdings[1:] - holdings[:-1]) * spot[1:-1], dim=0)
    return gained, traded + torch.abs(holdings[0]) * spot[0] + torch.abs(holdings[-1]) * spot[-1]


def worst(losses: Tensor, count: int) -> Tensor:
    """Mean of the `count` largest: CVaR in the sample, and its gradient the mean of theirs."""
    return cast(Tensor, torch.topk(losses, min(count, len(losses))).values.mean())
