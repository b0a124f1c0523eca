"""The words of the command line as a wish, each refused in one line where it is none."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from margrave.errors import Rejected
from margrave.lab.fire_sale.told import Wish
from margrave.score.cascade import CloseFactor, Law
from margrave.score.cascade.positions import AAVE_V2, AAVE_V3, AAVE_V3_3, WHOLE
from margrave.verdicts import Rejection

RULES: Final[Mapping[str, CloseFactor]] = {
    "aave-v3": AAVE_V3,
    "aave-v3.3": AAVE_V3_3,
    "aave-v2": AAVE_V2,
    "whole": WHOLE,
}


def wish(
    *,
    file: Path,
    shock: str,
    assets: str,
    depth_usd: float,
    law: str,
    prices: Sequence[str],
    price_file: Path | None,
    parameters: Path | None,
    threshold: float,
    bonus: float,
    rules: str,
    as_shown: bool,
) -> Wish:
    """
    Raises:
        Rejected: a word is none of those that are understood.
    """
    if law not in tuple(Law):
        raise Rejected(Rejection.MALFORMED, f"no law {law!r}", advice=f"choose one of {', '.join(Law)}")
    if rules not in RULES:
        raise Rejected(Rejection.MALFORMED, f"no rules {rules!r}", advice=f"choose one of {', '.join(RULES)}")
    if not 0 < depth_usd < math.inf:
        raise Rejected(
            Rejection.NOT_POSITIVE, f"depth {depth_usd:g} USD", advice="give what a book takes for one percent"
        )
    return Wish(
        file=file,
        shock=move(shock),
        assets=tuple(name.strip() for name in assets.split(",") if name.strip()),
        depth_usd=depth_usd,
        law=Law(law),
        close=RULES[rules],
        prices=tuple(map(priced, prices)),
        price_file=price_file,
        parameters=parameters,
        threshold=threshold,
        bonus=bonus,
        as_shown=as_shown,
    )


def move(text: str) -> float:
    """A relative move from `-20%` or `-0.2`, with any kind of minus.

    Raises:
        Rejected: it is no fall of less than everything. Debts that rise are asked for in the library, with a move an
            asset.
    """
    plain = text.strip().replace("\N{MINUS SIGN}", "-").replace("\N{EN DASH}", "-")
    try:
        value = float(plain.removesuffix("%")) / (100 if plain.endswith("%") else 1)
    except ValueError:
        value = math.nan
    if not -1 < value <= 0:
        raise Rejected(Rejection.OUT_OF_RANGE, f"shock {text!r} is no fall", advice="write it like -20% or -0.2")
    return value


def priced(text: str) -> tuple[str, float]:
    """From `BTC=64000`.

    Raises:
        Rejected: it is not written so.
    """
    name, found, price = text.partition("=")
    try:
        if found and name.strip():
            return name.strip(), float(price)
    except ValueError:
        pass
    raise Rejected(Rejection.MALFORMED, f"price {text!r}", advice="write it like BTC=64000")
