"""tail_net: quantiles and expected shortfalls of both tails that cannot cross, anchored on a range volatility.

Everything is scale free: features are ratios, and the level enters once, as a factor of sigma. So an asset that was
never seen is forecast in units of its own volatility.

    sigma   = level * exp(g(x))              g: linear + bounded MLP; QLIKE on the range variance of the next 4 h,
                                             then one factor so that squared returns match
    u       = sigma * exp(c(x))              the 95 % quantile of a side
    beta    = u * exp(d(x))                  generalised Pareto beyond u (McNeil and Frey 2000)
    xi      = XI_MAX * logistic(e(x))        0 < xi < 1/2, so the mean and variance of the tail exist
    q(p)    = u + beta / xi ((0.05 / p)^xi - 1)
    ES(p)   = q(p) + (beta + xi (q(p) - u)) / (1 - xi)

Each rung is the one before plus something positive, for every x: q97.5 < q99.5 < ES99 < q99.95 < ES99.9 follows from
0 < xi < 1/2 and beta > 0 alone. The deep rungs share xi with the whole pooled tail, which is what makes them learnable.
Training minimises FZ0 (Patton, Ziegel and Chen 2019) at five levels of both tails of the simple return. Three members
(one linear, two MLP seeds) are averaged in log coordinates; the average is again a ladder of this form.

    MARGRAVE_DATA=... PYTHONPATH=node:models python -m train.tail_net
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from margrave.score import features
from margrave.score.features import Floats
from train import dataset, evaluate, export
from train.dataset import HORIZON_H, LOG_CAP, Series

NAME: Final = "tail_net/1"
COMMAND: Final = "MARGRAVE_DATA=… PYTHONPATH=node:models python -m train.tail_net"
THRESHOLD: Final = 0.05
LEVELS: Final = (0.05, 0.025, 0.01, 0.005, 0.001)
"""Where FZ0 is evaluated in training, with equal weight."""
XI_MAX: Final = 0.48
CLIP_SD: Final = 6.0
LOG_LEVEL_RANGE: Final = (float(np.log(features.VARIANCE_FLOOR)), 0.0)
MOST_BEND: Final = 4.0
UNLIKE_QUANTILE: Final = 0.999
RIDGE: Final = 0.01
"""Added to the covariance of standardised inputs: neighbouring windows are nearly collinear."""
WIDTH: Final = 24
SEEDS: Final = (11, 12)
BATCH: Final = 8192
RATE: Final = 3e-3
DECAY: Final = 1e-4
SIGMA_EPOCHS: Final = 8
TAIL_EPOCHS: Final = 12
UNUSED: Final = (*features.MASKS["has_implied"], *features.MASKS["has_funding"])
"""The archive has implied volatility for Bitcoin alone and funding for eight coins. On validation the net was no better
with either (pooled FZ0 of the coins that have it: -2.281 with implied, -2.289 without; -2.008 with funding, -2.013
without), and an input that was seen on one coin is a risk on all others."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Training or validation rows: x (n, F), log level, outcome, realised variances over the horizon, all (n,)."""

    x: Tensor
    log_level: Tensor
    outcome: Tensor
    range_variance: Tensor
    squares: Tensor


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


class TailNet(nn.Module):  # type: ignore[misc, unused-ignore]
    """The exported graph: features (n, F) and log_level (n,) to sigma, ladder, es_quantiles and unlike."""

    def __init__(self, centre: Floats, spread: Floats, gate_of: Floats) -> None:
        super().__init__()
        self.register_buffer("centre", torch.tensor(centre, dtype=torch.float32))
        self.register_buffer("spread", torch.tensor(spread, dtype=torch.float32))
        self.register_buffer("gate_of", torch.tensor(gate_of, dtype=torch.int64))
        self.register_buffer("sigma_shift", torch.zeros(()))
        self.register_buffer("precision", torch.eye(len(centre)))
        self.register_buffer("unlike_scale", torch.ones(()))
        self.sigma = nn.ModuleList([Trunk(1, 0.5, None), *(Trunk(1, 0.5, seed) for seed in SEEDS)])
        self.tails = nn.ModuleList([Trunk(6, 0.5, None), *(Trunk(6, 0.5, seed) for seed in SEEDS)])
        with torch.no_grad():
            for tail in self.tails:
                tail.linear.bias.copy_(torch.tensor([0.4, 0.4, -0.7, -0.7, -0.5, -0.5]))

    def standard(self, x: Tensor) -> Tensor:
        """Standardised and clipped; an absent input sits at the centre of those that were present.

        The mask bits gate and are no inputs themselves: where few coins have an input, its bit would be their name.
        """
        z = ((x - self.centre) / self.spread).clamp(-CLIP_SD, CLIP_SD)
        gates = torch.cat([torch.zeros_like(x[:, :1]), torch.ones_like(x[:, :1]), x.clamp(0, 1)], dim=1)
        return z * gates[:, self.gate_of]

    def log_sigma(self, z: Tensor, log_level: Tensor) -> Tensor:
        change = torch.stack([member(z)[:, 0] for member in self.sigma]).mean(dim=0)
        anchor = 0.5 * (log_level.clamp(*LOG_LEVEL_RANGE) + float(np.log(HORIZON_H)))
        return anchor + change.clamp(-MOST_BEND, MOST_BEND) + self.sigma_shift

    def tail_parameters(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """log u / sigma, log beta / u and xi, each (n, 2): down, up; averaged over the members."""
        raw = torch.stack([member(z) for member in self.tails]).mean(dim=0)
        return split_tail(raw)

    def forward(self, x: Tensor, log_level: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        z = self.standard(x)
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
        distance = torch.sqrt(torch.clamp(((z @ self.precision) * z).sum(dim=1), min=0.0)) / self.unlike_scale
        return sigma, ladder.flatten(1), beneath.flatten(1), distance


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


def gather(everything: list[Series], part: str, every: int, device: str) -> Rows:
    """Rows of the assets that may be seen, every `every`-th hour."""
    seen = [(s, np.flatnonzero(s.rows(part))[::every]) for s in everything if s.asset not in dataset.LEFT_OUT]

    def column(of: Any) -> Tensor:
        return torch.tensor(np.concatenate([of(s)[rows] for s, rows in seen]), dtype=torch.float32, device=device)

    return Rows(
        column(lambda s: s.table.columns),
        column(lambda s: s.table.log_level),
        column(lambda s: s.outcome),
        column(lambda s: np.maximum(s.outcome_variance, HORIZON_H * features.VARIANCE_FLOOR)),
        column(lambda s: s.outcome_squares),
    )


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


def fit_sigma(net: TailNet, train: Rows, validation: Rows) -> list[float]:
    """Each member by itself; the epoch with the best validation QLIKE is kept."""
    scores = []
    for k, member in enumerate(net.sigma):

        def loss(rows: Rows, z: Tensor, member: nn.Module = member) -> Tensor:
            base = 0.5 * (rows.log_level + float(np.log(HORIZON_H)))
            return qlike_loss(base + member(z)[:, 0], rows.range_variance)

        scores.append(fit(net, member, loss, train, validation, SIGMA_EPOCHS, seed=k))
    with torch.no_grad():
        log_sigma = net.log_sigma(net.standard(train.x), train.log_level)
        ratio = torch.clamp(train.squares / torch.exp(2 * log_sigma), max=400.0).mean()
        net.sigma_shift.copy_(0.5 * torch.log(ratio))
    return scores


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
            z = net.standard(rows.x)
            optimiser.zero_grad()
            loss(rows, z).backward()
            optimiser.step()
            schedule.step()
        with torch.no_grad():
            score = float(loss(validation, net.standard(validation.x)))
        if score < best:
            best, kept = score, {k: v.clone() for k, v in member.state_dict().items()}
        print(f"  epoch {epoch} validation {score:.5f}", flush=True)
    member.load_state_dict(kept)
    return best


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


def to_onnx(net: TailNet) -> onnx.ModelProto:
    net.eval()
    example = (torch.zeros(2, len(features.NAMES)), torch.zeros(2))
    batch = torch.export.Dim("batch", min=1, max=100_000)
    program = torch.onnx.export(
        net,
        example,
        dynamo=True,
        opset_version=export.OPSET,
        verbose=False,
        input_names=["features", "log_level"],
        output_names=["sigma", "ladder", "es_quantiles", "unlike"],
        dynamic_shapes=({0: batch}, {0: batch}),
    )
    model: onnx.ModelProto = program.model_proto
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    del model.metadata_props[:]
    return model


def parity(net: TailNet, model: onnx.ModelProto, rows: Rows) -> float:
    """Largest absolute difference between torch and onnxruntime over all outputs of some rows."""
    with torch.no_grad():
        wanted = net(rows.x[:4096], rows.log_level[:4096])
    found = export.run(
        model.SerializeToString(), {"features": rows.x[:4096].numpy(), "log_level": rows.log_level[:4096].numpy()}
    )
    return max(
        float(np.abs(found[k] - w.numpy()).max())
        for k, w in zip(("sigma", "ladder", "es_quantiles", "unlike"), wanted, strict=True)
    )


def train_net(everything: list[Series]) -> tuple[TailNet, dict[str, Any], Rows]:
    began = time.perf_counter()
    train, validation = gather(everything, "train", 2, "cpu"), gather(everything, "validation", 1, "cpu")
    net = TailNet(*standardisation(train.x.double().numpy()))
    print(f"{len(train.outcome)} rows to train on, {len(validation.outcome)} to choose by")
    sigma_scores = fit_sigma(net, train, validation)
    tail_scores = fit_tails(net, train, validation)
    fit_distance(net, train)
    return (
        net,
        {"validation_qlike": sigma_scores, "validation_fz0": tail_scores, "seconds": time.perf_counter() - began},
        validation,
    )


def main() -> None:
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    data = dataset.folder()
    everything = dataset.load(data)
    net, training, validation = train_net(everything)
    model = to_onnx(net)
    difference = parity(net, model, validation)
    print(f"trained in {training['seconds']:.0f} s, parity {difference:.1e}")
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


def golden(everything: list[Series]) -> dict[str, Any]:
    """Rows of three assets through calm and crash, and the same with everything optional taken away."""
    chosen = [next(s for s in everything if s.asset == a and len(s.close_ms) > 5000) for a in ("BTC", "ETH", "LINK")]
    parts = [
        dataset.model_inputs(s, np.linspace(features.MIN_BARS - 1, len(s.close_ms) - 1, 16).astype(np.int64))
        for s in chosen
    ]
    x = np.concatenate([part["features"] for part in parts])
    bare = x.copy()
    for bit, names in features.MASKS.items():
        bare[:, [features.NAMES.index(name) for name in (bit, *names)]] = 0
    level = np.concatenate([part["log_level"] for part in parts])
    return {"features": np.concatenate([x, bare]), "log_level": np.concatenate([level, level])}


def limits(report: Mapping[str, Any]) -> list[str]:
    seen = {
        part: 100 * report["parts"][part]["models"][NAME]["hits"]["down_q975"]["rate"]
        for part in ("test", "test, BTC and ETH")
    }
    return [
        "No rung says more than -67 % or +200 %; the largest moves in training were -54 % and +125 %.",
        "The deep rungs (99.95 %, ES 99.9) are extrapolated by a tail index learnt on all assets together; "
        "there are too few such moves in any one asset to test them.",
        "Implied volatility and funding are not used: few coins have them in the training data, and on validation "
        "they did not help. It knows nothing of other markets.",
        "It sees closed hourly bars: what happened inside the running hour reaches it as a provisional bar.",
        f"Made for {HORIZON_H} h only.",
        "Coins that failed, stablecoins and wrapped assets are not in the training data.",
        f"On the test part the 97.5 % rung down was exceeded {seen['test']:.1f} % of the time, for BTC and ETH "
        f"{seen['test, BTC and ETH']:.1f} %, where 2.5 % is right.",
    ]


def card(net: TailNet, everything: list[Series], data: Any, report: dict[str, Any]) -> dict[str, Any]:
    training = [s for s in everything if s.asset not in dataset.LEFT_OUT]
    return {
        "name": NAME,
        "title": "Non-crossing tail network, pooled",
        "what": (
            "Volatility, quantiles and expected shortfalls of both tails of the four-hour return, in one pass. "
            "A generalised Pareto tail whose parameters depend on the features; the rungs cannot cross."
        ),
        "command": COMMAND,
        "horizon_s": HORIZON_H * 3600,
        "features_version": features.VERSION,
        "trained_from": evaluate.day(min(int(s.close_ms[0]) for s in training)),
        "trained_to": dataset.TRAIN_END,
        "assets": sorted({s.asset for s in training}),
        "left_out": list(dataset.LEFT_OUT),
        "data_manifest_sha256": dataset.manifest_hash(data),
        "tolerance": 1e-5,
        "seeds": list(SEEDS),
        "parameters": {
            "threshold": THRESHOLD,
            "xi_max": XI_MAX,
            "clip_sd": CLIP_SD,
            "unlike_quantile": UNLIKE_QUANTILE,
            "unlike_scale": float(net.unlike_scale),
        },
        "inputs": [
            {
                "name": "features",
                "dtype": "float32",
                "shape": ["batch", str(len(features.NAMES))],
                "unit": "ratios",
                "meaning": "margrave.score.features.NAMES, in order; clipped at 6 standard deviations",
                "low": -20.0,
                "high": 20.0,
            },
            {
                "name": "log_level",
                "dtype": "float32",
                "shape": ["batch"],
                "unit": "log of squared log return",
                "meaning": "log of the mean hourly range variance of the last four weeks",
                "low": -24.0,
                "high": 0.0,
            },
        ],
        "outputs": [
            *evaluate.output_tensors("float32"),
            {
                "name": "unlike",
                "dtype": "float32",
                "shape": ["batch"],
                "unit": "share of a quantile",
                "meaning": "Mahalanobis distance from the training inputs over its 99.9 % quantile",
                "low": 0.0,
                "high": 100.0,
            },
        ],
        "metrics": report["card_metrics"],
        "limits": limits(report),
    }


if __name__ == "__main__":
    main()
