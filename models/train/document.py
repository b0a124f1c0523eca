"""Writes docs/models.md from the cards, so that the page cannot say something else than the registry.

PYTHONPATH=node:models python -m train.document
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from margrave.score import features
from margrave.score.registry import Card, Metric, open_model
from train.export import REGISTRY

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "models.md"

HEAD: Final = """# Models

This page is written by `python -m train.document` from the cards in `models/registry`; edit those, not this.

A model is a folder `models/registry/<family>/<version>`: the graph (`model.onnx`), its card (`card.toml`), golden
inputs and outputs (`reference.npz`) and the whole evaluation (`evaluation.json`). The node opens a model only if both
files have the hashes of the card and the golden outputs come out on this machine; governance approves a *set* of models
by one hash over their names and graphs. `models/train/README.md` says how each is made.

## Who speaks

The main model's ladder is published, but no rung below a third of the baseline's. Where the input is unlike the
training data, or the main model gives no finite answer, the larger of both ladders is published, rung by rung, and the
round is marked as a fall-back. Where the index has moved since the last closed hour by more than a typical hour, both
models are also asked with that move as a provisional bar, and the larger answer counts. Nothing here can make a ladder
narrower.

A provisional bar takes a part of an hour for a whole one. On validation, asked at half past (1657 such moves of 16
coins), the closed bars alone were exceeded 3.9 % of the time at the 97.5 % rung down and 0.9 % at the 99.5 % rung; the
larger answer 2.7 % and 0.7 %, and with half of the widening 3.1 % and 0.8 %. The larger ladder of a fall-back has no
cap: of the inputs unlike training on validation the main model's ES99 was never above 1.7 times the baseline's.

## How they were judged

Trained to the end of 2023, chosen on 2024-01-08 to 2024-06-09, reported on 2024-06-17 to 2024-12-31 and 2026-01 to
2026-02, with a purged week between the parts. APT, FIL, GRT and LINK were left out of training and choice. Rows are
every fourth hour, so outcomes do not overlap. FZ0 contains a logarithm: only its differences mean something, and below
zero is better than the model it is compared with. |t| above 2 is unlikely to be luck. Kupiec's test pools assets that
crash together, so a small p there overstates the evidence; the share of single assets that pass it stands beside it.

Averages hide the days that matter. So each card also says what came of the top 2 % of the model's own volatility
forecasts, and what it says of three crises of the training span (in-sample): its largest ES99 for the next four hours
against the worst four hours that came, on rows four hours apart. ES99 is a mean of what is rare, so it should stand
above the worst of a month; several times above is a ladder that nobody can trade under.
"""


def page(cards: list[Card]) -> str:
    return "\n".join([HEAD, *(_section(card) for card in cards), _features()])


def cards() -> list[Card]:
    names = sorted(str(path.parent.relative_to(REGISTRY)) for path in REGISTRY.glob("*/*/card.toml"))
    return [open_model(REGISTRY, name).card for name in names]


def _section(card: Card) -> str:
    limits = "\n".join(f"- {limit}" for limit in card.limits)
    return f"""## {card.name}: {card.title}

{card.what}

| | |
| --- | --- |
| horizon | {card.horizon_s // 3600} h |
| trained on | {len(card.assets)} assets, {card.trained_from} to {card.trained_to}: {", ".join(card.assets)} |
| inputs | {"; ".join(f"`{t.name}` ({t.dtype}): {t.meaning}" for t in card.inputs)} |
| parameters | {", ".join(f"{name} {value:.6g}" for name, value in card.parameters.items())} |
| SHA-256 | `{card.model_sha256}` |
| made by | `{card.command}` |

{_differences(card)}

{_hits(card)}

Limits:

{limits}
"""


def _differences(card: Card) -> str:
    rows = [metric for metric in card.metrics if metric.against]
    lines = ["| difference in | against | part | value | |", "| --- | --- | --- | ---: | --- |"]
    lines += [f"| {m.name} | {m.against} | {m.part} | {m.value:+.4f} | {m.statistic} |" for m in rows]
    return "\n".join(lines)


def _hits(card: Card) -> str:
    rows: list[Metric] = [metric for metric in card.metrics if not metric.against]
    lines = ["| measure | part | value | |", "| --- | --- | ---: | --- |"]
    lines += [f"| {m.name} | {m.part} | {m.value:.3%} | {m.statistic} |" for m in rows]
    return "\n".join(lines)


def _features() -> str:
    groups = "\n".join(
        f"- `{bit}` gates {', '.join(f'`{name}`' for name in names)}" for bit, names in features.MASKS.items()
    )
    return f"""## Features `{features.VERSION}`

One definition (`margrave.score.features`) for training and for the node; a test proves the same bits from both. A row
depends on the last {features.LONG_H} hours only, and at least {features.MIN_BARS} bars are needed. What is absent is
zero under a zero mask bit:

{groups}

In order: {", ".join(f"`{name}`" for name in features.NAMES)}.
"""


def main() -> None:
    PAGE.write_text(page(cards()), encoding="utf-8")
    print(f"wrote {PAGE}")


if __name__ == "__main__":
    main()
