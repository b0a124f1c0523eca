"""The contagion network in plain torch: message passing that clears for a few rounds and leaps between them.

A round passes distress along the edges and forced sales against them, as `margrave.score.contagion.overlap` does. After
some rounds every node leaps: by how much its distress will still rise in the rounds that are left out, as a small net
of its own state says, in proportion to how much it just rose (unrolling an iteration and learning its steps: Gregor and
LeCun, ICML 2010; the ratio of two rises is Aitken's). Who has stopped rising stays where it is. Weights are shared by
all nodes and all inputs are shares, so that neither names nor the unit of money change anything.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from margrave.score.contagion.overlap import NARROWEST

BLOCKS: Final = 4
ROUNDS: Final = 3
"""In a block; after each but the last, a leap."""
HIDDEN: Final = 10
SEES: Final = 12
STEEPEST: Final = 30.0
"""A rise that shrinks by less than one in thirty a round counts as shrinking so."""
SMALL: Final = 1e-6


class Leap(nn.Module):
    """How many times its last rise a node still rises, from what is seen of it alone."""

    def __init__(self) -> None:
        super().__init__()
        self.into = nn.Linear(SEES, HIDDEN)
        self.out = nn.Linear(HIDDEN, 1)
        nn.init.constant_(self.out.bias, -1.0)

    def forward(self, state: Tensor) -> Tensor:
        return functional.softplus(self.out(torch.tanh(self.into(state))))[:, :, 0]


class Network(nn.Module):
    """(nodes, scenarios) loss shares of any graph, from what `margrave.score.contagion.network` makes of it."""

    def __init__(self, blocks: int = BLOCKS, rounds: int = ROUNDS) -> None:
        super().__init__()
        self.leaps = nn.ModuleList(Leap() for _ in range(blocks - 1))
        self.rounds = rounds

    def forward(self, shock: Tensor, nodes: Tensor, src: Tensor, dst: Tensor, stake: Tensor, press: Tensor) -> Tensor:
        return self.walked(shock, nodes, src, dst, stake, press)[0]

    def walked(
        self, shock: Tensor, nodes: Tensor, src: Tensor, dst: Tensor, stake: Tensor, press: Tensor
    ) -> tuple[Tensor, list[Tensor]]:
        """The answer, and where each leap landed. Nothing is learnt through the rounds before a leap: what they make of
        a little more is either nothing or beyond any bound, and a leap's own aim is the end itself."""
        own, claims, priced, forced, first, last = (nodes[:, i : i + 1] for i in range(1, 7))
        at_once = shock * nodes[:, :1]
        steep = forced / torch.clamp(last - first, min=NARROWEST)
        owing = (claims > 0) / torch.clamp(claims, min=NARROWEST)
        facts = torch.cat([own, torch.clamp(claims, max=3.0), priced, forced, first, last], dim=1)
        always = facts[:, None, :].expand(shock.shape[0], shock.shape[1], 6)
        down = torch.zeros_like(shock)
        rise, before = down, down
        lost, sold, pressed = down, down, down
        landed: list[Tensor] = []
        for block in range(len(self.leaps) + 1):
            for _ in range(self.rounds):
                lost = at_once + _summed(stake[:, None] * down[src], dst, shock)
                sold = torch.clamp((lost - first) * steep, 0, 1)
                pressed = 1 - torch.exp(-_summed(press[:, None] * sold[dst], src, shock))
                fell = 1 - (1 - torch.clamp((lost - own) * owing, 0, 1)) * (1 - pressed)
                before, rise, down = rise, torch.relu(fell - down), fell
            if block < len(self.leaps):
                down, rise, before = down.detach(), rise.detach(), before.detach()
                lost, sold, pressed = lost.detach(), sold.detach(), pressed.detach()
                still = torch.clamp(rise / (before + SMALL), 0, 1)
                aitken = still / (1 + 1 / STEEPEST - still)
                seen = torch.stack([down, torch.clamp(lost, 0, 1), sold, pressed, still, aitken / STEEPEST], dim=2)
                more = self.leaps[block](torch.cat([seen, always], dim=2)) * (1 + aitken)
                down = down + (1 - down) * (1 - torch.exp(-more * rise))
                landed.append(down)
        lost = at_once + _summed(stake[:, None] * down[src], dst, shock)
        return priced * down + (1 - priced) * torch.clamp(lost, 0, 1), landed


def _summed(values: Tensor, at: Tensor, like: Tensor) -> Tensor:
    return torch.zeros_like(like).index_add(0, at, values)
