"""Who owes what against what: the positions of a lending protocol, in columns, checked at the door.

The rules are those of Aave v2 and v3 (docs: «Liquidations», «Health factor»; `LiquidationLogic.sol`). An account may be
liquidated while its health factor, collateral at liquidation thresholds over debt, is below one. One call repays a
share of its debt (the close factor) and seizes collateral of that value and the bonus on top.

On chain the liquidator chooses which collateral he takes. Here he takes of all in proportion to what each would repay,
so that an account's collateral runs out together: two numbers an account, the shares of collateral and debt left, say
where it stands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from margrave.errors import Rejected
from margrave.messages import HealthReading
from margrave.verdicts import Rejection

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BONUS: Final = 0.05
"""What Aave v3 pays on Ethereum for seizing bitcoin or ether (v2 began at 10 % for bitcoin)."""


@dataclass(frozen=True, slots=True)
class CloseFactor:
    """How much of an unhealthy account's debt one call may repay."""

    part: float = 0.5
    """Share of the debt, of an account that is not far below one."""
    all_below_health: float = 0.95
    """Below this health factor one call may repay everything."""
    all_below_usd: float = 0.0
    """With less debt than this one call may repay everything."""

    def __post_init__(self) -> None:
        if not (0 < self.part <= 1 and 0 <= self.all_below_health <= 1 and 0 <= self.all_below_usd < np.inf):
            raise Rejected(
                Rejection.OUT_OF_RANGE,
                f"close factor {self.part:g} (all below {self.all_below_health:g} or {self.all_below_usd:g} USD)",
                advice="give shares between 0 and 1, and the first above 0",
            )


AAVE_V2: Final = CloseFactor(0.5, 0.0)
AAVE_V3: Final = CloseFactor(0.5, 0.95)
AAVE_V3_3: Final = CloseFactor(0.5, 0.95, 2_000.0)
"""Since early 2025: small debts are closed whole, so that no dust stays behind."""
WHOLE: Final = CloseFactor(1.0, 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class Positions:
    """n accounts over A assets, before a shock. Arrays are float64.

    An account without debt, or without anything, may be here: it is never liquidated. Debt without collateral may too:
    it is bad debt from the start.

    Raises:
        Rejected: shapes differ; a balance is negative or not finite (with its row and asset); a price is not positive;
            a threshold lies outside 0 to 1; a bonus is negative, or so large that seizing at the threshold would take
            more collateral than there is (threshold x (1 + bonus) > 1), which Aave refuses too.
    """

    collateral: Floats
    """(n, A) units."""
    debt: Floats
    """(n, A) units."""
    prices_usd: Floats
    """(A,)"""
    threshold: Floats
    """Liquidation threshold, (A,); or (n, A) where accounts differ, as in Aave's efficiency modes."""
    bonus: Floats
    """What a liquidator gets on top, a share of the debt he repays; (A,) or (n, A)."""
    close: CloseFactor = AAVE_V3
    assets: tuple[str, ...] = ()
    """Names for messages; without them assets are called by their number."""

    def __post_init__(self) -> None:
        for name in ("collateral", "debt", "prices_usd", "threshold", "bonus"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=np.float64))
        self._shapes()
        for name in ("collateral", "debt"):
            self._balances(name, getattr(self, name))
        for asset, price in enumerate(self.prices_usd):
            if not np.isfinite(price):
                raise Rejected(Rejection.NOT_FINITE, f"price of {self._called(asset)}: {price}", advice=_MEND)
            if price <= 0:
                raise Rejected(Rejection.NOT_POSITIVE, f"price of {self._called(asset)}: {price:g}", advice=_MEND)
        self._shares("threshold", self.threshold, 0.0, 1.0)
        self._shares("bonus", self.bonus, 0.0, np.inf)
        with np.errstate(over="ignore"):
            taken = self.threshold * (1 + self.bonus)
        if (found := _first(~(taken <= 1 + 1e-12))) is not None:
            raise Rejected(
                Rejection.OUT_OF_RANGE,
                f"threshold and bonus of {self._at(found)}: a liquidation would seize {taken[found]:.4g} of the"
                " collateral",
                advice="threshold x (1 + bonus) must not exceed 1",
            )

    def __len__(self) -> int:
        return len(self.collateral)

    @property
    def weighted(self) -> Floats:
        """(n, A): collateral at thresholds, in units."""
        return self.collateral * self.threshold

    @property
    def repayable(self) -> Floats:
        """(n, A): the debt that seizing all collateral would repay, in units of the collateral."""
        return self.collateral / (1 + self.bonus)

    def health(self, prices_usd: Floats | None = None) -> Floats:
        """(n,) health factors; infinite without debt."""
        prices = self.prices_usd if prices_usd is None else prices_usd
        debts = self.debt @ prices
        healths = np.full(len(self), np.inf)
        np.divide(self.weighted @ prices, debts, out=healths, where=debts > 0)
        return healths

    # --- the door ---------------------------------------------------------------------------------------------------

    def _shapes(self) -> None:
        ok = self.collateral.ndim == 2 and self.debt.shape == self.collateral.shape
        if ok:
            count, assets = self.collateral.shape
            ok = self.prices_usd.shape == (assets,) and assets > 0
            ok = ok and all(a.shape in ((assets,), (count, assets)) for a in (self.threshold, self.bonus))
            ok = ok and len(self.assets) in (0, assets)
        if not ok:
            names = ("collateral", "debt", "prices_usd", "threshold", "bonus", "assets")
            shapes = ", ".join(f"{name} {np.shape(getattr(self, name))}" for name in names)
            raise Rejected(
                Rejection.MALFORMED, f"shapes do not go together: {shapes}", advice="give (n, A) balances, (A,) prices"
            )

    def _balances(self, name: str, balances: Floats) -> None:
        if (found := _first(~np.isfinite(balances))) is not None:
            raise Rejected(Rejection.NOT_FINITE, f"{name} of {self._at(found)}: {balances[found]}", advice=_MEND)
        if (found := _first(balances < 0)) is not None:
            raise Rejected(Rejection.OUT_OF_RANGE, f"{name} of {self._at(found)}: {balances[found]:g}", advice=_MEND)

    def _shares(self, name: str, shares: Floats, least: float, most: float) -> None:
        if (found := _first(~np.isfinite(shares))) is not None:
            raise Rejected(Rejection.NOT_FINITE, f"{name} of {self._at(found)}: {shares[found]}", advice=_MEND)
        if (found := _first((shares < least) | (shares > most))) is not None:
            raise Rejected(
                Rejection.OUT_OF_RANGE,
                f"{name} of {self._at(found)}: {shares[found]:g}, not {least:g} to {most:g}",
                advice="give shares, not percent or basis points",
            )

    def _called(self, asset: int) -> str:
        return self.assets[asset] if self.assets else f"asset {asset}"

    def _at(self, place: tuple[int, ...]) -> str:
        return self._called(place[-1]) if len(place) == 1 else f"row {place[0]}, {self._called(place[-1])}"


def of_health(
    reading: HealthReading,
    price_usd: float,
    bonus: float = BONUS,
    close: CloseFactor = AAVE_V3,
    parts: int = 1,
) -> Positions:
    """A protocol's debt by health factor as positions over two assets: the market, and dollars.

    Each bucket becomes `parts` accounts that share its debt and collateral evenly, each at the lower end of its part of
    the bucket: nobody is thought healthier than he may be. With one part the whole bucket falls at its lower edge; more
    parts assume that debt is spread evenly between the edges, and answer smoothly to a shock. Below the lowest edge
    there is no end but zero, so all that debt is closed at once; above the highest there is none at all, and that edge
    is taken. The bucket's own debt and collateral stand; what makes them its health factor is the threshold, which
    differs by bucket, capped where the bonus would eat more than there is (again the lower health).

    Raises:
        Rejected: the reading's buckets are not one more than its edges, or a figure is bad.
    """
    edges = np.asarray(reading.edges, dtype=np.float64)
    buckets = len(edges) + 1
    debt, collateral = (np.asarray(a, dtype=np.float64) for a in (reading.debt_usd, reading.collateral_usd))
    if debt.shape != (buckets,) or collateral.shape != (buckets,) or parts < 1:
        raise Rejected(Rejection.MALFORMED, f"{len(edges)} edges, {len(debt)} buckets of debt, {parts} parts")
    if not (np.isfinite(edges).all() and (edges > 0).all() and (np.diff(edges) > 0).all()):
        raise Rejected(Rejection.MALFORMED, f"health factors {reading.edges} are not positive and ascending")
    if not (np.isfinite(price_usd) and price_usd > 0):
        raise Rejected(Rejection.NOT_POSITIVE, f"price of {reading.market}: {price_usd}", advice=_MEND)
    lower = np.append([0.0], edges)
    width = np.zeros(buckets)
    width[1:-1] = np.diff(edges)
    health = lower[:, None] + width[:, None] * (np.arange(parts) / parts)
    debt, collateral = (np.repeat(a / parts, parts) for a in (debt, collateral))
    threshold = np.zeros(buckets * parts)
    np.divide(health.ravel() * debt, collateral, out=threshold, where=collateral > 0)
    nothing = np.zeros(buckets * parts)
    return Positions(
        collateral=np.column_stack((collateral / price_usd, nothing)),
        debt=np.column_stack((nothing, debt)),
        prices_usd=np.array([price_usd, 1.0]),
        threshold=np.column_stack((np.minimum(threshold, 1 / (1 + bonus)), nothing)),
        bonus=np.array([bonus, 0.0]),
        close=close,
        assets=(reading.market, "USD"),
    )


_MEND: Final = "mend or leave out that row"


def _first(bad: ArrayLike) -> tuple[int, ...] | None:
    """Where the first bad one stands."""
    places = np.argwhere(bad)
    return tuple(int(i) for i in places[0]) if len(places) else None
