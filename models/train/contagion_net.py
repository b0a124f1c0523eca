"""The contagion network in plain torch: a clearing of a few rounds, with a learnt leap in each.

A round passes distress along the edges and forced sales against them, as `margrave.score.contagion.overlap` does, and
then every node leaps: by how much its distress will still rise in the rounds that are left out, as a small net of its
own state says. (Unrolling an iteration and learning its steps: Gregor and LeCun, ICML 2010.) Weights are shared by all
nodes and edges, so that relabelling changes nothing; all inputs are shares, so that the unit of money changes nothing;
and every path from an input that makes things worse has weights that are not negative, so that more debt, a larger
shock or a thinner book never lowers a loss, here as in the clearing.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from margrave.score.contagion.overlap import NARROWEST

ROUNDS = 4
CHANNELS = 2
HIDDEN = 12
SEES = 8
"""Numbers of a node's state that the leap looks at, beside the channels' sums."""


class Leap(nn.Module):
    """What is still to come, in [0, 1): zero where nothing has begun, and rising in everything that makes it worse."""

    def __init__(self) -> None:
        super().__init__()
        inputs = SEES + 2 * CHANNELS
        self.inward = nn.Parameter(torch.randn(inputs, HIDDEN) * 0.5 - 1.0)
        self.offset = nn.Parameter(torch.randn(3, HIDDEN) - 1.0)
        self.outward = nn.Parameter(torch.randn(HIDDEN, 1 + CHANNELS) * 0.5 - 2.0)
        self.gate = nn.Parameter(torch.randn(4 + 2 * CHANNELS, 1 + CHANNELS) * 0.3)

    def forward(self, state: Tensor, begun: Tensor, kinds: Tensor) -> Tensor:
        hidden = torch.sigmoid(state @ functional.softplus(self.inward) + kinds @ self.offset)
        rate = hidden @ functional.softplus(self.outward)
        return 1 - torch.exp(-rate * (begun @ functional.softplus(self.gate)))


class Network(nn.Module):
    """(nodes, scenarios) loss shares of any graph, from what `margrave.score.contagion.network` makes of it."""

    def __init__(self, rounds: int = ROUNDS) -> None:
        super().__init__()
        self.leaps = nn.ModuleList(Leap() for _ in range(rounds))

    def forward(self, shock: Tensor, nodes: Tensor, src: Tensor, dst: Tensor, stake: Tensor, press: Tensor) -> Tensor:
        own, claims, priced, forced, first, last = (nodes[:, i : i + 1] for i in range(1, 7))
        lost_at_once = shock * nodes[:, :1]
        kinds = torch.cat([priced, forced, torch.ones_like(priced)], dim=1)[:, None, :]
        steep = forced / torch.clamp(last - first, min=NARROWEST)
        hasty = (forced * (1 - last)).expand(shock.shape)
        thin = (1 - own).expand(shock.shape)
        owing = claims.expand(shock.shape)
        down = torch.zeros_like(shock)
        channels = shock.new_zeros((shock.shape[0], shock.shape[1], CHANNELS))
        for leap in self.leaps:
            lost = lost_at_once + _summed(stake[:, None] * down[src], dst, shock)
            sold = torch.clamp((lost - first) * steep, 0, 1)
            pressed = 1 - torch.exp(-_summed(press[:, None] * sold[dst], src, shock))
            fell = _fell(lost, own, claims, pressed)
            told = _summed(stake[:, None, None] * channels[src], dst, channels)
            asked = 1 - torch.exp(-_summed(press[:, None, None] * channels[dst], src, channels))
            begun = torch.cat([torch.stack([lost, sold, pressed, fell], dim=2), told, asked], dim=2)
            risen = leap(torch.cat([begun, torch.stack([down, thin, owing, hasty], dim=2)], dim=2), begun, kinds)
            down = 1 - (1 - fell) * (1 - risen[:, :, 0])
            channels = risen[:, :, 1:]
        lost = lost_at_once + _summed(stake[:, None] * down[src], dst, shock)
        sold = torch.clamp((lost - first) * steep, 0, 1)
        pressed = 1 - torch.exp(-_summed(press[:, None] * sold[dst], src, shock))
        fell = torch.maximum(_fell(lost, own, claims, pressed), down)
        return priced * fell + (1 - priced) * torch.clamp(lost, 0, 1)


def _fell(lost: Tensor, own: Tensor, claims: Tensor, pressed: Tensor) -> Tensor:
    short = torch.clamp((lost - own) / torch.clamp(claims, min=1e-9), 0, 1) * (claims > 0)
    return 1 - (1 - short) * (1 - pressed)


def _summed(values: Tensor, at: Tensor, like: Tensor) -> Tensor:
    return torch.zeros_like(like).index_add(0, at, values)
