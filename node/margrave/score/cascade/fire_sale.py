"""The fire-sale simulator: a shock, the liquidations that follow, the prices that follow from those, and so on.

After Cifuentes, Ferrucci and Shin (Liquidity risk and contagion, J. Eur. Econ. Assoc. 3, 2005), with the liquidations
of lending protocols (Qin et al., An empirical study of DeFi liquidations, IMC 2021) in place of banks' ratios. Two
answers:

* `simulate` is the waterfall. In every round each account below a health factor of one is called once, by its close
  factor, at the round's prices; what was seized is sold into the books; prices fall; until nobody is below one.
* `clear` is the clearing solution: prices at which all who are below one there are closed whole, everything seized at
  those very prices. It bounds every waterfall, whatever the order and the parts in which liquidators act.

Why both. Close factors make the waterfall path-dependent: who is liquidated early sells at a higher price and is cured,
so a bigger shock, more debt or a thinner book can leave less sold in the end (the tests hold such cases). In the
clearing solution what is sold can only rise as prices fall, so that by Tarski's theorem there is a highest clearing
price, the iteration from above reaches it, and it moves one way with shock, debt, and depth. Laws are stated for it.

Both end. In a waterfall every round calls somebody, a call repays at least `part` of a debt, and what is left of less
than a millionth is closed whole: at most 22 calls an account at one half, so 22 n rounds. `clear` lets prices only
fall, in floats, and stops where they stand still.

Not in it: liquidators who stay away because the impact eats their bonus, auctions, borrowers who repay meanwhile, books
that refill, and the price that buying the debt asset back would raise (a shock may raise it).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from margrave.errors import Rejected
from margrave.score.cascade.positions import CloseFactor, Floats, Ints, Positions
from margrave.verdicts import Rejection

MOST_ROUNDS: Final = 10_000
RESIDUE: Final = 2.0**-20
"""What is left of a debt below this share is closed whole: halving would never end."""


class Law(StrEnum):
    """How far a price has fallen once a multiple x of the depth is sold, as a multiple of `share`, in logarithms."""

    EVEN = "even"  # x: as many bids at every price, Cifuentes et al.'s exponential demand
    SQUARE_ROOT = "square_root"  # sqrt(x): books that refill while one sells (Toth et al., Phys. Rev. X 1, 2011)


@dataclass(frozen=True, slots=True, eq=False)
class Depth:
    """What the books take.

    Raises:
        Rejected: a depth is not positive (infinite is: a price that nothing moves), or the share is not in 0 to 1.
    """

    usd: Floats
    """(A,): sold, at the prices before the shock, moves the price by `share`."""
    share: float = 0.01
    law: Law = Law.SQUARE_ROOT
    book: Ints | None = None
    """(A,): assets of one number are sold into one book and fall together, which has the depth of its first asset: a
    wrapped coin and the coin. Without it each asset has its own."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "usd", np.atleast_1d(np.asarray(self.usd, dtype=np.float64)))
        if self.usd.ndim != 1 or not (self.usd > 0).all():
            raise Rejected(
                Rejection.NOT_POSITIVE,
                f"depth {self.usd.tolist()} USD",
                advice="give what the book takes for one percent, infinite where nothing moves the price",
            )
        if not 0 < self.share < 1:
            raise Rejected(Rejection.OUT_OF_RANGE, f"depth is given for a move of {self.share:g}", advice="give 0.01")
        if self.book is not None:
            book = np.asarray(self.book)
            if book.shape != self.usd.shape or book.dtype.kind not in "iu" or (book < 0).any():
                raise Rejected(Rejection.MALFORMED, f"books {book.tolist()} of {len(self.usd)} assets")
            _, first, place = np.unique(book, return_index=True, return_inverse=True)
            object.__setattr__(self, "book", place.astype(np.int64))
            object.__setattr__(self, "usd", self.usd[first][place])

    def kept(self, sold_usd: Floats) -> Floats:
        """(A,): what is left of each price, as a share, after so much was sold in all."""
        if self.book is not None:
            sold_usd = np.bincount(self.book, weights=sold_usd).astype(np.float64)[self.book]
        times = sold_usd / self.usd
        kept: Floats = np.exp(-self.share * (times if self.law is Law.EVEN else np.sqrt(times)))
        return kept


@dataclass(frozen=True, slots=True, eq=False)
class Round:
    """One round: who was called, and the prices it leaves."""

    accounts: int
    repaid_usd: float
    seized_usd: float
    """At the prices that it was seized at."""
    sold: Floats
    """(A,) units."""
    prices_usd: Floats
    """(A,) after the sale."""


@dataclass(frozen=True, slots=True, eq=False)
class Waterfall:
    """What a shock has led to."""

    shocked_usd: Floats
    """(A,): prices right after the shock."""
    rounds: tuple[Round, ...]
    accounts: int
    """Accounts that were liquidated at least once."""
    liquidated_usd: float
    """Collateral seized, at the prices that it was seized at. A deeper fall makes the same coins worth less, so this
    need not grow with the shock; `sold` does."""
    repaid_usd: float
    bad_debt_usd: float
    """Debt left without collateral, at the last prices; what was without any from the start is in it."""
    sold: Floats
    """(A,) units."""
    prices_usd: Floats
    """(A,): the last."""
    closed: Floats
    """(n,): share of each account's debt that was repaid."""
    settled: bool
    """Nobody is below one. False only where rounds ran out."""

    @property
    def impact(self) -> Floats:
        """(A,): the fall that the sales added to the shock, as a share of the shocked price."""
        return 1 - self.prices_usd / self.shocked_usd


def simulate(positions: Positions, depth: Depth, shock: ArrayLike, *, most_rounds: int = MOST_ROUNDS) -> Waterfall:
    """The waterfall after relative moves `shock` of the prices, shape (A,), above -1.

    Raises:
        Rejected: the shock or the depth does not fit the positions' assets.
    """
    start = _shocked(positions, depth, shock)
    weighted, repayable = positions.weighted, positions.repayable
    debt: Floats = np.ones(len(positions))
    collateral = np.where(np.any(positions.collateral > 0, axis=1), 1.0, 0.0)
    # shares of each account's debt and collateral that are left
    sold = np.zeros(len(start))
    prices, rounds = start, list[Round]()
    while len(rounds) < most_rounds:
        debts, worth = _worth(positions.debt, prices, debt), _worth(weighted, prices, collateral)
        rows = np.flatnonzero((worth < debts) & (collateral > 0))
        if not len(rows):
            break
        owed, payable = debts[rows], _worth(repayable[rows], prices, collateral[rows])
        wanted = owed * _called(positions.close, worth[rows] / owed, owed, debt[rows])
        runs_out = payable <= wanted
        repaid = np.where(runs_out, payable, wanted)
        taken = np.ones(len(rows))
        np.divide(wanted, payable, out=taken, where=~runs_out)
        units = (taken * collateral[rows]) @ positions.collateral[rows]
        seized_usd = float(units @ prices)
        collateral[rows] *= 1 - taken
        debt[rows] *= 1 - repaid / owed
        sold = sold + units
        prices = start * depth.kept(sold * positions.prices_usd)
        rounds.append(Round(len(rows), float(repaid.sum()), seized_usd, units, prices))
    debts, worth = _worth(positions.debt, prices, debt), _worth(weighted, prices, collateral)
    return Waterfall(
        shocked_usd=start,
        rounds=tuple(rounds),
        accounts=int((debt < 1).sum()),
        liquidated_usd=sum(r.seized_usd for r in rounds),
        repaid_usd=sum(r.repaid_usd for r in rounds),
        bad_debt_usd=float(debts[collateral == 0].sum()),
        sold=sold,
        prices_usd=prices,
        closed=1 - debt,
        settled=not bool(((worth < debts) & (collateral > 0)).any()),
    )


def clear(positions: Positions, depth: Depth, shock: ArrayLike, *, most_rounds: int = MOST_ROUNDS) -> Waterfall:
    """The clearing solution after relative moves `shock`: the highest prices that bear what is sold at them.

    Debts are held at the shocked prices: a fall of what an account owes does not cure it here, which keeps the map
    monotone and the bound a bound. The waterfall that is returned has one round.

    Raises:
        Rejected: the shock or the depth does not fit the positions' assets.
    """
    start = _shocked(positions, depth, shock)
    weighted, repayable, debts = positions.weighted, positions.repayable, positions.debt @ start
    prices, settled = start, False
    for _ in range(max(most_rounds, 1)):
        below = weighted @ prices < debts
        payable = repayable @ prices
        taken = below.astype(np.float64)
        np.divide(debts, payable, out=taken, where=below & (payable > debts))
        sold = taken @ positions.collateral
        lower = np.minimum(start * depth.kept(sold * positions.prices_usd), prices)
        if settled := bool((lower == prices).all()):
            break
        prices = lower
    repaid = np.where(below, np.minimum(payable, debts), 0.0)
    closed = np.zeros(len(positions))
    np.divide(repaid, debts, out=closed, where=debts > 0)
    seized_usd, repaid_usd, accounts = float(sold @ prices), float(repaid.sum()), int((closed > 0).sum())
    return Waterfall(
        shocked_usd=start,
        rounds=(Round(accounts, repaid_usd, seized_usd, sold, prices),) if accounts else (),
        accounts=accounts,
        liquidated_usd=seized_usd,
        repaid_usd=repaid_usd,
        bad_debt_usd=float((debts - repaid)[below].sum()),
        sold=sold,
        prices_usd=prices,
        closed=closed,
        settled=settled,
    )


def _worth(units: Floats, prices_usd: Floats, left: Floats) -> Floats:
    """(n,) USD of what is left of balances (n, A)."""
    worth: Floats = (units @ prices_usd) * left
    return worth


def _called(close: CloseFactor, health: Floats, owed_usd: Floats, left: Floats) -> Floats:
    """The share of each debt that one call repays."""
    whole = (health < close.all_below_health) | (owed_usd < close.all_below_usd) | (left < RESIDUE)
    return np.where(whole, 1.0, close.part)


def _shocked(positions: Positions, depth: Depth, shock: ArrayLike) -> Floats:
    moves = np.asarray(shock, dtype=np.float64)
    assets = positions.prices_usd.shape
    if moves.shape != assets or depth.usd.shape != assets:
        raise Rejected(
            Rejection.MALFORMED,
            f"{assets[0]} assets, a shock of {moves.shape} and depths of {depth.usd.shape}",
            advice="give one move and one depth an asset",
        )
    if not np.isfinite(moves).all():
        raise Rejected(Rejection.NOT_FINITE, f"shock {moves.tolist()}", advice="give finite relative moves")
    if (moves <= -1).any():
        raise Rejected(Rejection.OUT_OF_RANGE, f"shock {moves.tolist()}", advice="a price cannot fall by all it is")
    shocked: Floats = positions.prices_usd * (1 + moves)
    return shocked
