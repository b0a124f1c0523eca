"""The tables of docs/guard.md, from what `scripts/bench gauntlet --json` printed into docs/gauntlet.json."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

RULES: Final = ("volume_mean", "median", "guard")
Row = Mapping[str, Any]


def tables(figures: Row) -> str:
    """Markdown: the scoreboard, the layers, quiet months, real crashes, targets."""
    sections = [
        ("Scoreboard", _board(figures["board"])),
        ("What each layer is worth", _layers(figures["ablation"])),
        ("Quiet months", _quiet(figures["quiet"])),
        ("Real crashes", _crashes(figures["crashes"])),
        ("Targets", _targets(figures["targets"])),
    ]
    return "\n\n".join(f"### {title}\n\n{text}" for title, text in sections)


def _board(board: Sequence[Row]) -> str:
    by_attack: dict[str, list[Row]] = {}
    for row in board:
        by_attack.setdefault(row["attack"], []).append(row)
    return _table(
        (
            "attack",
            "volume mean",
            "median",
            "guard, unflagged",
            "guard, with flagged",
            "price error",
            "flagged",
            "late",
        ),
        (_attack(name, rows) for name, rows in by_attack.items()),
    )


def _attack(name: str, rows: Sequence[Row]) -> Sequence[str]:
    """The worst over coins, windows and sizes; in brackets the worst at half, once and twice the size."""
    sizes = sorted({row["size"] for row in rows})

    def worst(rule: str, key: str, only: float | None = None) -> float:
        return max(float(row["rules"][rule][key]) for row in rows if only in (None, row["size"]))

    figure = rows[0]["sort"] == "figure"
    naive = ["–" if figure else f"{worst(rule, 'damage'):.2f}×" for rule in ("volume_mean", "median")]
    parts = ", ".join(f"{worst('guard', 'damage', size):.2f}" for size in sizes)
    late = [row["rules"]["guard"]["latency"] for row in rows]
    flagged = [row["rules"]["guard"]["flagged"] for row in rows]
    return (
        f"`{name}`: {rows[0]['story']}",
        *naive,
        f"**{worst('guard', 'damage'):.2f}×** ({parts})",
        f"{worst('guard', 'damage_flagged'):.2f}×",
        f"{worst('guard', 'price_error'):.3f}",
        f"{min(flagged)}–{max(flagged)}" if min(flagged) != max(flagged) else f"{flagged[0]}",
        str(max(late)) if rows[0]["attack"].startswith("true_") and None not in late else "–",
    )


def _layers(rows: Sequence[Row]) -> str:
    return _table(
        ("layer", "worse when it alone is off (with → without)", "better when it alone is on (with ← without)"),
        ((f"`{row['layer']}`", _moved(row["worse_without"]), _moved(row["better_alone"])) for row in rows),
    )


def _moved(found: Mapping[str, Row]) -> str:
    return "; ".join(f"`{name}` {_pair(row)}" for name, row in found.items()) or "nothing here"


def _pair(row: Row) -> str:
    inside, outside = row["with"], row["without"]
    if abs(inside["damage"] - outside["damage"]) > 0.02 * inside["damage"]:
        return f"{inside['damage']:.2f}× / {outside['damage']:.2f}×"
    return f"price {inside['price_error']:.3f} / {outside['price_error']:.3f}"


def _quiet(quiet: Mapping[str, Row]) -> str:
    return _table(
        ("coin", "bars", "flagged", "of these held", "single venues left out, of venue-bars"),
        (
            (coin, f"{row['bars']:,}", f"{row['flagged']:,}", f"{row['held']:,}", f"{row['venues_refused']:,}")
            for coin, row in quiet.items()
        ),
    )


def _crashes(days: Sequence[Row]) -> str:
    return _table(
        (
            "day",
            "bars",
            "fall",
            "worst bar",
            "price error",
            "bars late",
            "flagged",
            "held",
            "ES99 over the median's, least",
        ),
        (
            (
                day["name"],
                str(day["bars"]),
                f"{day['fall']:.0%}",
                f"{day['worst_bar']:.3f}",
                f"{day['price_error']:.4f}",
                str(day["late_bars"]),
                str(day["flagged"]),
                str(day["held"]),
                f"{day['es99_to_median']:.2f}",
            )
            for day in days
        ),
    )


def _targets(targets: Iterable[Row]) -> str:
    words = {None: "–", True: "met", False: "**missed**"}
    return _table(
        ("target", "measured", "wanted", ""),
        (
            (
                row["name"],
                f"{row['value']:.4g} {row['unit']}",
                "–" if row["target"] is None else f"{row['target']:g}",
                words[row["holds"]],
            )
            for row in targets
        ),
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
