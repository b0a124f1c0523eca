"""tail_net: quantiles and expected shortfalls of both tails that cannot cross, anchored on a range volatility.

Sigma is trained first, by QLIKE on the range variance of the next four hours, which is less noisy than the return, then
fitted to the squared return by two numbers, level and pull (`fit_pull`). With sigma held, the tails minimise FZ0
(Patton, Ziegel and Chen 2019) at five levels of both tails of the simple return. `tail_graph` has the formulas.

    MARGRAVE_DATA=... PYTHONPATH=node:models python -m train.tail_net
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from margrave.score import features
from margrave.score.features import Floats
from train import dataset, evaluate, export
from train.dataset import HORIZON_H, Series
from train.pool import command
from train.tail_card import NAME, UNLIKE_QUANTILE, card, golden
from train.tail_graph import TailNet, near, parity, rungs, split_tail, to_onnx

LEVELS: Final = (0.05, 0.025, 0.01, 0.005, 0.001)
"""Where FZ0 is evaluated in training, with equal weight."""
RIDGE: Final = 0.01
"""Added to the covariance of standardised inputs: neighbouring windows are nearly collinear."""
BATCH: Final = 8192
RATE: Final = 3e-3
DECAY: Final = 1e-4
SIGMA_EPOCHS: Final = 8
TAIL_EPOCHS: Final = 12
UNUSED: Final = (*features.MASKS["has_implied"], *features.MASKS["has_funding"])
"""The archive has implied volatility for Bitcoin alone and funding for eight coins. On validation the net was no better
with either (pooled FZ0 of the coins that have it: -2.281 with implied, -2.289 without; -2.008 with funding, -2.013
without), and an input that was seen on one coin is a risk on all others."""


def main() -> None:
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    data = dataset.folder()
    everything = dataset.load(data)
    net, training, validation = train_net(everything)
    model = to_onnx(net)
    difference = parity(net, model, validation.x[:4096], validation.log_level[:4096])
    print(f"parity {difference:.1e}")
    if difference > 1e-5:
        raise SystemExit(
            f"torch and onnxruntime differ by {difference:.1e} — do not publish; look at the exporter's version"
        )
    baseline = (export.REGISTRY / "gjr_garch_t/1/model.onnx").read_bytes()
    graphs = {NAME: model.SerializeToString(), "gjr_garch_t/1": baseline}
    report = evaluate.report(evaluate.collect(everything, graphs), subject=NAME)
    report["training"] = training | {"parity": difference}
    published = export.publish(model, golden(everything), card(net, everything, data, report), report)
    print(f"published {published.name}")


def train_net(everything: list[Series]) -> tuple[TailNet, dict[str, Any], Rows]:
    train, validation = gather(everything, "train", 2), gather(everything, "validation", 1)
    net = TailNet(*standardisation(train.x.double().numpy()))
    print(f"{len(train.outcome)} rows to train on, {len(validation.outcome)} to choose by")
    sigma_scores = fit_sigma(net, train, validation)
    tail_scores = fit_tails(net, train, validation)
    fit_distance(net, train)
    return (
        net,
        {"validation_qlike": sigma_scores, "validation_fz0": tail_scores},
        validation,
    )


@dataclass(frozen=True, slots=True)
class Rows:
    """Training or validation rows: x (n, F), log level, outcome, realised variances over the horizon, all (n,)."""

    x: Tensor
    log_level: Tensor
    outcome: Tensor
    range_variance: Tensor
    squares: Tensor


def gather(everything: list[Series], part: str, every: int) -> Rows:
    """Rows of the assets that may be seen, every `every`-th hour."""
    seen = [(s, np.flatnonzero(s.rows(part))[::every]) for s in everything if s.asset not in dataset.LEFT_OUT]

    def column(of: Any) -> Tensor:
        return torch.tensor(np.concatenate([of(s)[rows] for s, rows in seen]), dtype=torch.float32)

    return Rows(
        column(lambda s: s.table.columns),
        column(lambda s: s.table.log_level),
        column(lambda s: s.outcome),
        column(lambda s: np.maximum(s.outcome_variance, HORIZON_H * features.VARIANCE_FLOOR)),
        column(lambda s: s.outcome_squares),
    )


def fit_sigma(net: TailNet, train: Rows, validation: Rows) -> list[float]:
    """Each member by itself; the epoch with the best validation QLIKE is kept."""
    scores = []
    for k, member in enumerate(net.sigma):

        def loss(rows: Rows, z: Tensor, member: nn.Module = member) -> Tensor:
            base = 0.5 * (rows.log_level + float(np.log(HORIZON_H)))
            return qlike_loss(base + member(z)[:, 0], rows.range_variance)

        scores.append(fit(net, member, loss, train, validation, SIGMA_EPOCHS, seed=k))
    fit_pull(net, train)
    return scores


def fit_pull(net: TailNet, train: Rows) -> None:
    """Level and slope of log sigma on the horizon's squared return, by QLIKE (Mincer and Zarnowitz 1969, in logs).

    High forecasts come true only in part: swings inside four hours cancel when markets are wild, and what was extreme
    is partly luck. Without this the mean of squared return over variance was 1.05 for the calm half of the training
    rows and 0.6 for the wildest hundredth.
    """
    with torch.no_grad():
        raw = net.raw_log_sigma(near(net.standard(train.x)), train.log_level).double()
        squares = torch.log1p(train.outcome.double()) ** 2
    centre = raw.mean()
    centred, slope, level = raw - centre, 1.0, 0.0
    for _ in range(50):  # Newton on loss = squares exp(-2 f) + 2 f, f = centre + level + slope * centred
        ratio = torch.clamp(squares * torch.exp(-2 * (centre + level + slope * centred)), max=400.0)
        gradient = torch.stack([(1 - ratio).mean(), ((1 - ratio) * centred).mean()])
        curve = 2 * torch.stack(
            [ratio.mean(), (ratio * centred).mean(), (ratio * centred).mean(), (ratio * centred**2).mean()]
        )
        step = torch.linalg.solve(curve.view(2, 2), gradient)
        level, slope = level - float(step[0]), slope - float(step[1])
        if float(step.abs().max()) < 1e-9:
            break
    pull = 1 - slope
    net.sigma_pull.fill_(pull)
    net.sigma_pivot.fill_(float(centre) + level / pull)
    print(f"  pull {pull:.4f} to a sigma of {float(torch.exp(net.sigma_pivot)):.4f}")


def fit_tails(net: TailNet, train: Rows, validation: Rows) -> list[float]:
    scores = []
    for k, member in enumerate(net.tails):

        def loss(rows: Rows, z: Tensor, member: nn.Module = member) -> Tensor:
            with torch.no_grad():
                sigma = torch.exp(net.log_sigma(z, rows.log_level))
            return fz0_loss(sigma, split_tail(member(z)), rows.outcome)

        scores.append(fit(net, member, loss, train, validation, TAIL_EPOCHS, seed=100 + k))
    return scores


def fit(net: TailNet, member: nn.Module, loss: Any, train: Rows, validation: Rows, epochs: int, seed: int) -> float:
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(member.parameters(), lr=RATE, weight_decay=DECAY)
    steps = epochs * (len(train.outcome) // BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    best, kept = float("inf"), {k: v.clone() for k, v in member.state_dict().items()}
    for epoch in range(epochs):
        order = torch.randperm(len(train.outcome), generator=generator)
        for chunk in order[: len(order) // BATCH * BATCH].split(BATCH):
            rows = Rows(*(getattr(train, name)[chunk] for name in Rows.__slots__))
            z = near(net.standard(rows.x))
            optimiser.zero_grad()
            loss(rows, z).backward()
            optimiser.step()
            schedule.step()
        with torch.no_grad():
            score = float(loss(validation, near(net.standard(validation.x))))
        if score < best:
            best, kept = score, {k: v.clone() for k, v in member.state_dict().items()}
        print(f"  epoch {epoch} validation {score:.5f}", flush=True)
    member.load_state_dict(kept)
    return best


def qlike_loss(log_sigma: Tensor, variance: Tensor) -> Tensor:
    log_ratio = torch.log(variance) - 2 * log_sigma
    return (torch.exp(torch.clamp(log_ratio, max=6.0)) - log_ratio).mean()


def fz0_loss(sigma: Tensor, parameters: tuple[Tensor, Tensor, Tensor], outcome: Tensor) -> Tensor:
    """Mean FZ0 over levels and sides. The excess is capped at 30 thresholds: one liquidation spike is one row."""
    signed = torch.stack([-outcome, outcome], dim=1)
    total = torch.zeros((), dtype=sigma.dtype)
    for p in LEVELS:
        quantile, shortfall = rungs(sigma, *parameters, p)
        excess = torch.clamp(signed - quantile, min=0.0)
        total = (
            total
            + (
                torch.minimum(excess, 30 * quantile) / (p * shortfall) + quantile / shortfall + torch.log(shortfall)
            ).mean()
        )
    return total / len(LEVELS)


def fit_distance(net: TailNet, train: Rows) -> None:
    """Mahalanobis distance of the market's state, scaled so that 1 is its 99.9 % quantile over training.

    The calendar, the length of the history and the mask bits are no state of the market and count nothing. Optional
    groups have covariances of their own, from the rows where they were present: over all rows they would look almost
    constant, and every market that has them would look strange.
    """
    groups: list[tuple[int | None, list[int]]] = [
        (None, [i for i, name in enumerate(features.NAMES) if _is_state(name)])
    ]
    groups += [
        (features.NAMES.index(bit), [features.NAMES.index(n) for n in names]) for bit, names in features.MASKS.items()
    ]
    with torch.no_grad():
        z = net.standard(train.x).double()
        precision = torch.zeros(z.shape[1], z.shape[1], dtype=torch.float64)
        for bit, columns in groups:
            present = z[:, columns] if bit is None else z[train.x[:, bit] > 0][:, columns]
            covariance = present.T @ present / len(present) + RIDGE * torch.eye(len(columns), dtype=torch.float64)
            index = torch.tensor(columns)
            precision[index[:, None], index[None, :]] = torch.linalg.inv(covariance)
        distance = torch.sqrt(((z @ precision) * z).sum(dim=1)).numpy()
        net.precision.copy_(precision.float())
        net.unlike_scale.fill_(float(np.quantile(distance, UNLIKE_QUANTILE)))


def _is_state(name: str) -> bool:
    optional = {name for names in features.MASKS.values() for name in names}
    return not (name in optional or name in ("history", *features.MASKS) or name.startswith("week_"))


def standardisation(x: Floats) -> tuple[Floats, Floats, Floats]:
    """Centre and spread over the rows where an input was present; 0 and 1 for the mask bits themselves.

    Also, for each column, which column of (0, 1, x) gates it: 0 never in (mask bits, UNUSED), 1 always.
    """
    centre, spread, gate_of = np.zeros(x.shape[1]), np.ones(x.shape[1]), np.zeros(x.shape[1])
    owner = {name: bit for bit, names in features.MASKS.items() for name in names}
    for i, name in enumerate(features.NAMES):
        if name.startswith("has_"):
            continue
        present = slice(None) if name not in owner else x[:, features.NAMES.index(owner[name])] > 0
        centre[i], spread[i] = x[present, i].mean(), x[present, i].std()
        gate_of[i] = 0 if name in UNUSED else 1 if name not in owner else 2 + features.NAMES.index(owner[name])
    return centre, spread, gate_of


if __name__ == "__main__":
    command(main)
