"""The graph of tail_net: a ladder whose rungs cannot cross, for any input.

Everything is scale free: features are ratios, and the level enters once, as a factor of sigma. So an asset that was
never seen is forecast in units of its own volatility.

    raw     = level * exp(g(x))              g: linear + bounded MLP
    sigma   = raw^(1 - pull) * pivot^pull    pull: a forecast this far from the pivot came true only 1 - pull of the way
    u       = sigma * exp(c(x))              the 95 % quantile of a side
    beta    = u * exp(d(x))                  generalised Pareto beyond u (McNeil and Frey 2000)
    xi      = XI_MAX * logistic(e(x))        so that the variance and the third moment of the tail exist
    q(p)    = u + beta / xi ((0.05 / p)^xi - 1)
    ES(p)   = q(p) + (beta + xi (q(p) - u)) / (1 - xi)

c, d and e are a constant and a bounded change each (`TAIL_BOUNDS`): in a crash every input is at its edge at once, and
a tail that is linear in them multiplies with sigma into figures that nothing in the data supports.

Each rung is the one before plus something positive, for every x: q97.5 < q99.5 < ES99 < q99.95 < ES99.9 follows from
0 < xi < 1/2 and beta > 0 alone. The deep rungs share xi with the whole pooled tail, which is what makes them learnable.
Three members (one linear, two MLP seeds) are averaged in log coordinates; the average is a ladder of this form again.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from margrave.score import features
from margrave.score.features import Floats
from train import export, torch_export
from train.dataset import HORIZON_H, LOG_CAP
from train.torch_export import ROWS

THRESHOLD: Final = 0.05
XI_MAX: Final = 0.3
"""The third moment of the tail exists. Hourly crypto returns give tail indices between 2.5 and 4 (xi 0.25 to 0.4), four
hours summed and divided by a forecast of their volatility give lighter ones."""
TAIL_BOUNDS: Final = (0.2, 0.2, 0.3, 0.3, 0.5, 0.5)
"""How far the features may move log u / sigma, log beta / u and the logit of xi, each down and up, from a constant."""
CLIP_SD: Final = 3.0
"""Where the forecast stops following an input."""
UNLIKE_CLIP_SD: Final = 6.0
"""Where the distance from the training data stops: it must still see what the forecast no longer follows."""
LOG_LEVEL_RANGE: Final = (float(np.log(features.VARIANCE_FLOOR)), 0.0)
MOST_BEND: Final = 4.0
WIDTH: Final = 24
SEEDS: Final = (11, 12)


class Trunk(nn.Module):  # type: ignore[misc, unused-ignore]  # torch is not installed where this is checked
    """linear(x) + bound * tanh(mlp(x)): the MLP may bend the linear answer, not replace it."""

    def __init__(self, outputs: int, bound: float, seed: int | None) -> None:
        super().__init__()
        torch.manual_seed(seed or 0)
        self.linear = nn.Linear(len(features.NAMES), outputs)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)
        self.bound = bound
        self.mlp = (
            None
            if seed is None
            else nn.Sequential(
                nn.Linear(len(features.NAMES), WIDTH),
                nn.SiLU(),
                nn.Linear(WIDTH, WIDTH),
                nn.SiLU(),
                nn.Linear(WIDTH, outputs),
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        straight: Tensor = self.linear(x)
        return straight if self.mlp is None else straight + self.bound * torch.tanh(self.mlp(x))


class TailTrunk(nn.Module):  # type: ignore[misc, unused-ignore]
    """constant + bound * tanh(linear(x) + mlp(x)), six outputs."""

    def __init__(self, seed: int | None) -> None:
        super().__init__()
        self.constant = nn.Parameter(torch.tensor([0.4, 0.4, -0.7, -0.7, 0.0, 0.0]))
        self.register_buffer("bounds", torch.tensor(TAIL_BOUNDS))
        self.trunk = Trunk(len(TAIL_BOUNDS), 1.0, seed)

    def forward(self, x: Tensor) -> Tensor:
        return self.constant + self.bounds * torch.tanh(self.trunk(x))


class TailNet(nn.Module):  # type: ignore[misc, unused-ignore]
    """The exported graph: features (n, F) and log_level (n,) to sigma, ladder, es_quantiles and unlike."""

    def __init__(self, centre: Floats, spread: Floats, gate_of: Floats) -> None:
        super().__init__()
        self.register_buffer("centre", torch.tensor(centre, dtype=torch.float32))
        self.register_buffer("spread", torch.tensor(spread, dtype=torch.float32))
        self.register_buffer("gate_of", torch.tensor(gate_of, dtype=torch.int64))
        self.register_buffer("sigma_pull", torch.zeros(()))
        self.register_buffer("sigma_pivot", torch.zeros(()))
        self.register_buffer("precision", torch.eye(len(centre)))
        self.register_buffer("unlike_scale", torch.ones(()))
        self.sigma = nn.ModuleList([Trunk(1, 0.5, None), *(Trunk(1, 0.5, seed) for seed in SEEDS)])
        self.tails = nn.ModuleList([TailTrunk(None), *(TailTrunk(seed) for seed in SEEDS)])

    def standard(self, x: Tensor) -> Tensor:
        """Standardised and clipped; an absent input sits at the centre of those that were present.

        The mask bits gate and are no inputs themselves: where few coins have an input, its bit would be their name.
        """
        z = ((x - self.centre) / self.spread).clamp(-UNLIKE_CLIP_SD, UNLIKE_CLIP_SD)
        gates = torch.cat([torch.zeros_like(x[:, :1]), torch.ones_like(x[:, :1]), x.clamp(0, 1)], dim=1)
        return z * gates[:, self.gate_of]

    def log_sigma(self, z: Tensor, log_level: Tensor) -> Tensor:
        """Of the forecast; `z` clipped as the members see it."""
        return self.pulled(self.raw_log_sigma(z, log_level))

    def raw_log_sigma(self, z: Tensor, log_level: Tensor) -> Tensor:
        change = torch.stack([member(z)[:, 0] for member in self.sigma]).mean(dim=0)
        anchor = 0.5 * (log_level.clamp(*LOG_LEVEL_RANGE) + float(np.log(HORIZON_H)))
        return anchor + change.clamp(-MOST_BEND, MOST_BEND)

    def pulled(self, raw: Tensor) -> Tensor:
        return raw + self.sigma_pull * (self.sigma_pivot - raw)

    def tail_parameters(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """log u / sigma, log beta / u and xi, each (n, 2): down, up; averaged over the members."""
        raw = torch.stack([member(z) for member in self.tails]).mean(dim=0)
        return split_tail(raw)

    def forward(self, x: Tensor, log_level: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        far = self.standard(x)
        z = near(far)
        sigma = torch.exp(self.log_sigma(z, log_level))
        pairs = {p: rungs(sigma, *self.tail_parameters(z), p) for p in (0.025, 0.01, 0.005, 0.001, 0.0005)}
        chain = [pairs[0.025][0], pairs[0.005][0], pairs[0.01][1], pairs[0.0005][0], pairs[0.001][1]]
        # Equal in exact arithmetic to the chain itself; in float32 the running maximum keeps the last bit in order.
        ladder = torch.stack(chain, dim=2)
        ordered = [ladder[:, :, 0]]
        for k in range(1, len(chain)):
            ordered.append(torch.maximum(ordered[-1], ladder[:, :, k]))
        ladder = torch.stack(ordered, dim=2)
        beneath = torch.stack([pairs[0.01][0], pairs[0.001][0]], dim=2)
        distance = torch.sqrt(torch.clamp(((far @ self.precision) * far).sum(dim=1), min=0.0)) / self.unlike_scale
        return sigma, ladder.flatten(1), beneath.flatten(1), distance


def near(z: Tensor) -> Tensor:
    """What the members see of a standardised input."""
    return z.clamp(-CLIP_SD, CLIP_SD)


def split_tail(raw: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Bounded far outside what training produces, so that no input overflows float32."""
    bent = raw.clamp(-MOST_BEND, MOST_BEND)
    return bent[:, 0:2], bent[:, 2:4], XI_MAX * torch.sigmoid(bent[:, 4:6])


def rungs(sigma: Tensor, log_u: Tensor, log_ratio: Tensor, xi: Tensor, p: float) -> tuple[Tensor, Tensor]:
    """Quantile and shortfall at p as magnitudes of the simple return, (n, 2) each: down, up."""
    u = sigma[:, None] * torch.exp(log_u)
    beta = u * torch.exp(log_ratio)
    quantile = u + beta / xi * (torch.exp(xi * float(np.log(THRESHOLD / p))) - 1)
    shortfall = quantile + (beta + xi * (quantile - u)) / (1 - xi)
    return simple(quantile), simple(shortfall)


def simple(log_magnitude: Tensor) -> Tensor:
    capped = torch.clamp(log_magnitude, max=LOG_CAP)
    return torch.stack([1 - torch.exp(-capped[:, 0]), torch.exp(capped[:, 1]) - 1], dim=1)


def to_onnx(net: TailNet) -> onnx.ModelProto:
    net.eval()
    example = (torch.zeros(2, len(features.NAMES)), torch.zeros(2))
    outputs = ("sigma", "ladder", "es_quantiles", "unlike")
    return torch_export.to_onnx(net, example, ("features", "log_level"), outputs, ({0: ROWS}, {0: ROWS}))


def parity(net: TailNet, model: onnx.ModelProto, x: Tensor, log_level: Tensor) -> float:
    """Largest absolute difference between torch and onnxruntime over all outputs."""
    with torch.no_grad():
        wanted = net(x, log_level)
    found = export.run(model.SerializeToString(), {"features": x.numpy(), "log_level": log_level.numpy()})
    return max(
        float(np.abs(found[k] - w.numpy()).max())
        for k, w in zip(("sigma", "ladder", "es_quantiles", "unlike"), wanted, strict=True)
    )
