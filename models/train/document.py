"""Writes docs/models.md from the cards and the court's report, so that the page cannot say something else than they.

Also models/registry/card.schema.json: what a card.toml may hold, for editors and for other languages.

    PYTHONPATH=node:models python -m train.document
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from margrave.score import features
from margrave.score.features import catalogue
from margrave.score.registry import Card, Metric, open_model
from margrave.settings import REGISTRY
from train.document_text import BAD_INPUT, HEAD, JUDGED, WHO_SPEAKS

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = ROOT / "docs" / "models.md"
SCHEMA: Final = REGISTRY / "card.schema.json"
REPORT: Final = ROOT / "docs" / "backtest" / "report.json"
SERVED: Final = ROOT / "docs" / "served.json"
LOGS: Final = ROOT / "node" / "margrave" / "lab" / "court"
PLAIN: Final = ("qlike", "fz0", "pinball", "AUROC", "AUPRC", "Brier", "ECE")
"""Losses are plain numbers; what else stands on a card is a share."""
SEEN: Final = "assets trained on"


def page(cards: Sequence[Card]) -> str:
    return "\n".join(
        [
            HEAD,
            WHO_SPEAKS,
            _between(),
            JUDGED,
            *_court(),
            _side_by_side(cards),
            _gone(cards),
            BAD_INPUT,
            _failed(),
            *(_section(card) for card in cards),
            _features(),
            _catalogue(),
        ]
    )


def cards() -> list[Card]:
    names = sorted(str(path.parent.relative_to(REGISTRY)) for path in REGISTRY.glob("*/*/card.toml"))
    return [open_model(REGISTRY, name).card for name in names]


def schema() -> str:
    return json.dumps(msgspec.json.schema(Card), indent=1) + "\n"


# --- what is served ---------------------------------------------------------------------------------------------------


def _between() -> str:
    """What the committed run of `margrave.lab.served` found at half past."""
    served = json.loads(SERVED.read_text(encoding="utf-8"))
    asked, found = served["asked"], served["asked"]["found"]
    moved, still = found["moved"], found["still"]
    most = found["most_es99_where_unlike"]
    unlike = (
        "nor did it need one: the input was never unlike the training data."
        if most is None
        else f"the input was unlike the training data {_percent(found['unlike'])} of the time, and the main model's "
        f"ES99 then at most {most:.2f} times the baseline's."
    )
    spans = " and ".join(f"{first[:10]} to {last[:10]}" for first, last in asked["spans"])
    text = f"""A provisional bar takes a part of an hour for a whole one. Asked at half past every {asked["every_h"]}
        hours, {spans}, of {len(asked["assets"])} assets, before any widening, the index had moved so far
        {moved["times"]:,} times of {moved["times"] + still["times"]:,}. The closed bars alone were then exceeded
        {_rungs(moved["closed"])}; the larger answer {_rungs(moved["published"])}. Without such a move it was
        {_rungs(still["published"])}. A rung of the main model lay below its floor {_percent(found["floored"])} of the
        time. The larger ladder of a fall-back has no cap; {unlike} By `{served["command"]}`, which writes
        [served.json](served.json)."""
    return textwrap.fill(" ".join(text.split()), 120, break_long_words=False, break_on_hyphens=False) + "\n"


def _rungs(shares: dict[str, float]) -> str:
    down, up = ([_percent(shares[f"{side}_{rung}"]) for rung in ("q975", "q995")] for side in ("down", "up"))
    return f"{down[0]} down and {up[0]} up at the 97.5 % rungs, {down[1]} and {up[1]} at the 99.5 % rungs"


def _percent(share: float) -> str:
    return f"{share:.2%}".replace("%", " %")


# --- the court --------------------------------------------------------------------------------------------------------


def _court() -> list[str]:
    """The committed report of the whole study, where there is one."""
    if not REPORT.is_file():
        return []
    report = json.loads(REPORT.read_text(encoding="utf-8"))
    facts = report["facts"]
    rows = [
        (t["name"], _number(t["target"]), _number(t["value"]), _verdict(t), t.get("note") or "")
        for t in report["targets"]
    ]
    parts = [
        f"""## What the court found

`{facts["command"]}` on the development data, {len(facts["assets"])} assets, judged from {facts["judged_from"]} to
{facts["ends"]}; [the whole report](backtest/index.html). Families are refitted as the court walks forward.
""",
        _table(("target", "wanted", "found", "", ""), rows, "lrrll"),
    ]
    for title, verdicts, rows_of in (
        ("Variance: mean QLIKE, and over the best baseline of each asset", report["volatility"], _volatility_rows),
        ("Tails at 1 %: FZ0 less ES-CAViaR's", report["tails"], _tail_rows),
    ):
        rows = [row for verdict in verdicts for row in rows_of(verdict)]
        if rows:
            parts.append(f"### {title}\n\n{_table(HEADS[rows_of.__name__], rows, 'll' + 'r' * 8)}")
    for ruling in report.get("rulings") or report.get("chambers") or []:
        parts.append(f"### {ruling['title']}\n\n{ruling['summary']}\n")
    return parts


HEADS: Final = {
    "_volatility_rows": ("horizon", "family", "QLIKE", "over the best", "DM t", "realised over forecast", "MCS p"),
    "_tail_rows": ("horizon", "family", "FZ0 difference", "DM t", "hits, %", "Z2", "cells that pass"),
}


def _volatility_rows(verdict: dict[str, Any]) -> list[tuple[str, ...]]:
    rows = []
    for name, found in sorted(verdict["families"].items(), key=lambda item: item[1]["qlike"]):
        ratio, difference = verdict["over_best"].get(name, (None, {}))
        figures = (found["qlike"], ratio, difference.get("t"), found["bias"], found["mcs_p"])
        rows.append((f"{verdict['horizon_h']} h", name, *(_number(figure) for figure in figures)))
    return rows


def _tail_rows(verdict: dict[str, Any]) -> list[tuple[str, ...]]:
    rows = []
    for side in ("down", "up"):
        against = {
            row["family"]: row
            for row in verdict["against"]
            if row["other"] == "es_caviar" and row["loss"].endswith(side)
        }
        for name, found in verdict["families"].items():
            level = next(each for each in found["sides"][side]["levels"] if each["p"] == 0.01)
            row = against.get(name, {})
            figures = (row.get("difference"), row.get("t"), 100 * level["hit_rate"], level["z2"], level["passing"])
            rows.append((f"{verdict['horizon_h']} h {side}", name, *(_number(figure) for figure in figures)))
    return rows


def _verdict(target: dict[str, Any]) -> str:
    if target["holds"] is None:
        return "not measured"
    return "met" if target["holds"] else f"missed by {_number(target['missed_by'])}"


# --- the registry -----------------------------------------------------------------------------------------------------


def _side_by_side(cards: Sequence[Card]) -> str:
    rows = []
    for card in cards:
        for metric in card.metrics:
            if metric.part == SEEN and metric.name.startswith("qlike") and not metric.against:
                beside = {m.against: m for m in card.metrics if m.part == SEEN and m.name == metric.name}
                strongest = beside.get("log_har/1")
                hours = metric.name.removeprefix("qlike ")
                rows.append((hours, card.name, f"{metric.value:.4f}", strongest.statistic if strongest else ""))
    rows.sort(key=lambda row: (int(row[0].split()[0]), float(row[2])))
    tails = [
        (m.name.removeprefix("fz0 "), card.name, f"{m.value:+.3f}", m.statistic)
        for card in cards
        for m in card.metrics
        if m.part == SEEN and m.name.startswith("fz0") and m.against == "historical_simulation"
    ]
    tails.sort(key=lambda row: (int(row[0].split()[0]), row[0], float(row[2])))
    return f"""## Side by side

Every model as its file is, trained once, on hours after all of their training and choosing, the assets they were
trained on; the same pairs for all (`python -m train.judged`). The assets left out stand on each card below.

{_table(("horizon", "model", "QLIKE", "against log_har/1"), rows, "llrl")}
{_table(("tail at 1 %", "model", "FZ0 less historical simulation's", ""), tails, "llrl")}"""


def _gone(cards: Sequence[Card]) -> str:
    rows = [
        (card.name, a.gone, f"{a.horizon_h} h", a.loss, f"{a.change:+.2%}" if _is_share(a.loss) else f"{a.change:+.4f}",
         a.statistic)
        for card in cards
        for a in card.ablations
    ]  # fmt: skip
    if not rows:
        return "## When a source is gone\n\nNo card has an ablation yet.\n"
    return f"""## When a source is gone

The model is the same; its input is masked, as a node meets it. Above zero is worse. QLIKE as a share of itself, FZ0 as
a difference.

{_table(("model", "gone", "horizon", "loss", "change", ""), rows, "llllrl")}"""


def _is_share(loss: str) -> bool:
    return loss.lower().startswith("qlike")


def _failed() -> str:
    logs = sorted(LOGS.glob("families/*/README.md"))
    links = "\n".join(f"- [{log.parent.name}](../{log.relative_to(ROOT)})" for log in logs)
    return f"""## What did not work

Every setting that was tried is counted where its family lies, with its figures; so is what was left out and why:

{links}

And `docs/features.md`, where it stands, says which inputs were measured and stayed out.
"""


def _section(card: Card) -> str:
    limits = "\n".join(f"- {limit}" for limit in card.limits)
    facts = [
        ("horizon", _horizons(card)),
        (
            "trained on",
            f"{len(card.assets)} assets, {card.trained_from} to {card.trained_to}: {', '.join(card.assets)}",
        ),
        ("chosen to", card.chosen_to or card.trained_to),
        ("inputs", "; ".join(f"`{t.name}` ({t.dtype}): {t.meaning}" for t in card.inputs)),
        ("columns", f"{card.features_version}: {', '.join(card.columns)}" if card.columns else ""),
        ("parameters", ", ".join(f"{name} {value:.6g}" for name, value in card.parameters.items())),
        ("parity", "" if card.parity is None else f"{card.parity:.1e}"),
        ("SHA-256", f"`{card.model_sha256}`"),
        ("made by", f"`{card.command}`"),
    ]
    return f"""## {card.name}: {card.title}

{card.what}

{_table(("", ""), [fact for fact in facts if fact[1]], "ll")}
{_differences(card)}
{_measures(card)}
Limits:

{limits}
"""


def _horizons(card: Card) -> str:
    said = [f"{card.horizon_s // 3600} h"] if card.horizon_s else []
    said += [f"variance {_hours(card.horizons_h)}"] if card.horizons_h else []
    said += [f"tails {_hours(card.tails_h)}"] if card.tails_h else []
    return "; ".join(said)


def _hours(horizons_h: Iterable[int]) -> str:
    return ", ".join(f"{horizon_h} h" for horizon_h in horizons_h)


def _differences(card: Card) -> str:
    """Models beside models: one row a figure and part, a column a model."""
    rows = [metric for metric in card.metrics if metric.against]
    others = list(dict.fromkeys(metric.against for metric in rows))
    keys = list(dict.fromkeys((metric.name, metric.part) for metric in rows))
    if not keys:
        return ""
    cells = {(m.name, m.part, m.against): f"{m.value:+.4f} ({m.statistic.removeprefix('DM ')})" for m in rows}
    lines = [(name, part, *(cells.get((name, part, other), "") for other in others)) for name, part in keys]
    return _table(("difference in", "part", *others), lines, "ll" + "r" * len(others))


def _measures(card: Card) -> str:
    rows = [(m.name, m.part, _value(m), m.statistic) for m in card.metrics if not m.against]
    return _table(("measure", "part", "value", ""), rows, "llrl") if rows else ""


def _value(metric: Metric) -> str:
    return f"{metric.value:.4f}" if metric.name.startswith(PLAIN) else f"{metric.value:.3%}"


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


def _catalogue() -> str:
    parts = [
        f"""## Features `{catalogue.VERSION}`

One definition for training, the court and the node (`margrave.score.features.catalogue`); over years and hour by hour
they agree to 1e-9, which a test holds them to. An input of variance that is absent is zero under a zero mask; one of
the tails is at the mean of the training.
"""
    ]
    for title, named in (("Of variance", catalogue.VOLATILITY), ("Of tails", catalogue.TAILS)):
        rows = [
            (f"`{f.name}`", f.unit, f.group.value, ", ".join(need.value for need in f.needs), str(f.window_h or ""))
            for f in named
        ]
        parts.append(f"### {title}\n\n{_table(('name', 'unit', 'group', 'needs', 'looks back, h'), rows, 'llllr')}")
    return "\n".join(parts)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], sides: str) -> str:
    marks = ["---:" if side == "r" else "---" for side, _ in zip(sides, heads, strict=False)]
    lines = [heads, marks, *rows]
    # |Z2| is a name, and Markdown would begin a cell at each of its bars
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def main() -> None:
    found = cards()
    PAGE.write_text(page(found), encoding="utf-8")
    SCHEMA.write_text(schema(), encoding="utf-8")
    print(f"wrote {PAGE} and {SCHEMA.name}")


if __name__ == "__main__":
    main()
