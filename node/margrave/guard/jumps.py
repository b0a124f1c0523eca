"""A jump that the venues made together: the market's, or somebody's?

A minority of venues is the breaker's affair. Whoever can move them all (a thin market, a shared feed) looks to every
rule on prices like the truth. But an honest jump leaves other traces: it is traded, volatility and funding answer,
positions close, the perpetuals and the pools go along. So a jump that enough venues made is in at once, and in full,
and carries a doubt for half an hour while nothing but prices moved. Only one so large that being wrong would be ruinous
(Mango, 2022: x24 in minutes) waits for a witness, or until it has lasted for an hour: so long must an attacker hold it,
against all who arbitrage.

A witness must be as loud as the move: on a busy day volume is up and volatility moves anyway, and neither speaks for
x24. Volume can be bought from oneself: where open interest times the move is more than moving costs, it takes another
witness beside it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from margrave.guard import agreement, breaker, checks
from margrave.guard.gathered import Gathered
from margrave.guard.memory import PATH_MS, Level, RememberedMarket, Waiting
from margrave.messages import Doubted, Kind
from margrave.settings import GuardPolicy
from margrave.spans import HOUR_MS
from margrave.verdicts import Doubt

TWAP_MS: Final = 1_800_000
LASTING_MS: Final = HOUR_MS
"""How long a move beyond all measure must stay; any other is the market's once it is a half hour's average."""
USUAL_H: Final = 168
MIN_USUAL_H: Final = 24
LEAST_SHARE_OF_HOUR: Final = 1 / 12
"""A candle younger than five minutes is compared with five minutes of the usual volume, not with less."""


@dataclass(frozen=True, slots=True)
class Least:
    """How far a figure must have moved to speak for a jump: `ordinary` for the smallest, in proportion for larger ones,
    and never more than `most`."""

    ordinary: float
    most: float

    def at(self, loud: float) -> float:
        return min(self.ordinary * loud, self.most)


VOL_WITNESS: Final = Least(0.10, 1.0)
"""Log move of implied volatility; DVOL's usual hour is a hundredth."""
INTEREST_WITNESS: Final = Least(0.03, 0.5)
"""Log move of open interest in contracts."""
FUNDING_WITNESS: Final = Least(0.0005, 0.005)
LIQUIDATED_WITNESS: Final = Least(0.005, 0.1)
"""Share of open interest closed by force."""
DEPTH_BAND: Final = 0.01
BOOK_REACH: Final = 0.10
WITNESSES: Final = 2
"""That stand for volume where it is not up, or not known."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What of an agreed price is to be said; `hold` is why it is not to be believed yet."""

    doubts: tuple[Doubted, ...] = ()
    hold: str | None = None
    waiting: Waiting | None = None
    """The doubt stays open: the next round measures from where the market was before."""
    settled: bool = False
    """A jump found its witness, or has lasted: the market is there now."""


def judge(
    price: float,
    market: Gathered,
    past: RememberedMarket,
    now_ms: int,
    policy: GuardPolicy,
) -> Verdict:
    """Weigh the agreed price against where the market was in the last half hour, or before the jump that is in doubt.

    Without a past every price is as good as another.
    """
    waiting = past.waiting
    reference = own_twap(past.path, now_ms) if waiting is None else waiting.reference
    if reference is None:
        return Verdict()
    begun_ms = past.path[-1][0] if waiting is None else waiting.since_ms - TWAP_MS
    ordinary = breaker.allowance(max(now_ms - begun_ms, TWAP_MS), policy)
    move = math.log(price / reference)
    if abs(move) <= ordinary:
        return Verdict()
    told = f"{math.expm1(move):+.1%} from the half hour before, {reference:g}; {ordinary:.1%} is ordinary"
    traded = volume_ratio(market, now_ms, policy.min_sources)
    loud = abs(move) / ordinary
    levels = {(level.kind, level.who): level for level in past.levels}
    others = _others(price, reference, loud, market, levels, policy)
    cheap = _cheap(move, market, policy) if policy.layers.cost_to_move else None
    bought = traded is not None and traded >= policy.witness_volume * loud
    if len(others) >= WITNESSES or (bought and (cheap is None or others)):
        return Verdict(settled=True)
    beyond = _beyond(price, move, market, policy) if policy.layers.extraordinary else None
    waiting = waiting or Waiting(now_ms, reference)
    left_ms = waiting.since_ms + (TWAP_MS if beyond is None else LASTING_MS) - now_ms
    if left_ms <= 0:
        return Verdict(settled=True)
    seen = ", ".join([*([] if traded is None else [f"{traded:.1f} times the usual volume"]), *others]) or "nothing else"
    doubts = [Doubted(reason=Doubt.UNWITNESSED_JUMP, detail=f"{told}; seen with it: {seen}")]
    if cheap is not None:
        doubts.append(Doubted(reason=Doubt.CHEAP_TO_MOVE, detail=cheap))
    if beyond is None:
        return Verdict(tuple(doubts), waiting=waiting)
    hold = f"{told}; {beyond}; seen with it: {seen}; believed if it stays for {left_ms / 60_000:.0f} more minutes"
    return Verdict(tuple(doubts), hold, waiting)


def own_twap(path: Sequence[tuple[int, float]], now_ms: int) -> float | None:
    """Each agreed price counts for the time it stood within the last half hour; `None` without one of the last hour."""
    if not path or now_ms - path[-1][0] > PATH_MS:
        return None
    begin = now_ms - TWAP_MS
    ends = [*(at_ms for at_ms, _ in path[1:]), now_ms]
    stood = [(max(0, end - max(at_ms, begin)), price) for (at_ms, price), end in zip(path, ends, strict=True)]
    total = sum(time for time, _ in stood)
    return sum(time * price for time, price in stood) / total if total else path[-1][1]


def volume_ratio(market: Gathered, now_ms: int, min_sources: int) -> float | None:
    """Traded in the running or the last closed hour over the usual, the median over venues that tell.

    Usual is the median hour of the week before. `None` where fewer venues tell than an agreement needs: wash trades on
    one venue are no witness.
    """
    ratios = []
    opened_ms = now_ms // HOUR_MS * HOUR_MS
    share = max((now_ms - opened_ms) / HOUR_MS, LEAST_SHARE_OF_HOUR)
    for reading in market.histories.values():
        recent = reading.bars[-USUAL_H - 2 :]
        closed = [bar.volume for bar in recent if bar.open_time_ms < opened_ms - HOUR_MS]
        usual = median(closed) if len(closed) >= MIN_USUAL_H else 0.0
        if usual > 0:
            last = max((bar.volume for bar in recent if bar.open_time_ms == opened_ms - HOUR_MS), default=0.0)
            running = max((bar.volume for bar in recent if bar.open_time_ms == opened_ms), default=0.0)
            ratios.append(max(last, running / share) / usual)
    return median(ratios) if len(ratios) >= min_sources else None


def _others(
    price: float,
    reference: float,
    loud: float,
    market: Gathered,
    past: Mapping[tuple[Kind, str], Level],
    policy: GuardPolicy,
) -> list[str]:
    """What moved beside the venues' prices, `loud` times as far as it does with an ordinary jump; a phrase each."""
    found = []
    halfway = math.log(reference) + math.log(price / reference) / 2
    up = price > reference

    def went_along(prices: Sequence[float]) -> bool:
        return bool(prices) and (math.log(median(prices)) >= halfway) == up

    perpetuals = [checks.mid(book) for book, _ in market.books.get(True, {}).values()]
    if len(market.books.get(False, {})) >= policy.min_sources <= len(perpetuals) and went_along(perpetuals):
        found.append("the perpetuals moved")
    if went_along([pool.price for pool in market.pools]):
        found.append("the pools moved")
    answers = market.values(Kind.ORACLE_PRICE)
    if len(answers) >= WITNESSES and went_along(answers):
        found.append("other oracles answered")
    if (volatility := _change(Kind.VOL_INDEX, market, past)) is not None and abs(volatility) >= VOL_WITNESS.at(loud):
        found.append(f"implied volatility {math.expm1(volatility):+.0%}")
    interest = _change(Kind.OPEN_INTEREST, market, past)
    least = INTEREST_WITNESS.at(loud)
    # in dollars it moves with the price; what tells is that contracts were opened or closed
    if interest is not None and min(abs(interest), abs(interest - math.log(price / reference))) >= least:
        found.append(f"open interest {math.expm1(interest):+.0%}")
    rates = [(value, past.get((Kind.FUNDING_8H, who))) for who, (value, _) in _said(market, Kind.FUNDING_8H)]
    changes = [value - level.value for value, level in rates if level is not None]
    if changes and abs(median(changes)) >= FUNDING_WITNESS.at(loud):
        found.append(f"funding {median(changes):+.4f}")
    held_usd = agreement.capped_sum(market.values(Kind.OPEN_INTEREST))
    closed_usd = sum(said.long_usd + said.short_usd for said in market.liquidations)
    if held_usd and closed_usd >= LIQUIDATED_WITNESS.at(loud) * held_usd:
        found.append(f"{closed_usd:,.0f} USD liquidated")
    return found


def _said(market: Gathered, kind: Kind) -> list[tuple[str, tuple[float, float]]]:
    return sorted(market.scalars.get(kind, {}).items())


def _change(kind: Kind, market: Gathered, past: Mapping[tuple[Kind, str], Level]) -> float | None:
    """Median log move of a figure from its average, over the sources that have one."""
    moves = [
        math.log(value / level.value)
        for who, (value, _) in _said(market, kind)
        if (level := past.get((kind, who))) is not None and value > 0
    ]
    return median(moves) if moves else None


def _cheap(move: float, market: Gathered, policy: GuardPolicy) -> str | None:
    """The numbers, where who holds all the open interest gains more by the move than making it costs.

    A book of even density D within 1 % takes D |m| / 1 % to be moved by m, at m / 2 on average, lost when it reverts.
    It is taken to be that deep as far as `BOOK_REACH`; beyond it nothing rests, and moving on costs nothing. `None` too
    where open interest or depth are not known.
    """
    interest_usd = agreement.capped_sum(market.values(Kind.OPEN_INTEREST))
    sources = sorted({source for side in market.books.values() for source in side})
    depth_usd = agreement.capped_sum([checks.depth_usd(book) for s in sources if (book := market.book_of(s))])
    if not interest_usd or not depth_usd:
        return None
    gain_usd = interest_usd * abs(math.expm1(move))
    reach = min(abs(move), BOOK_REACH)
    cost_usd = depth_usd * reach / DEPTH_BAND * reach / 2
    if gain_usd <= policy.cost_multiple * cost_usd:
        return None
    return f"{gain_usd:,.0f} USD could be gained on open interest by what {cost_usd:,.0f} USD of depth resists"


def _beyond(price: float, move: float, market: Gathered, policy: GuardPolicy) -> str | None:
    """Why a move is too large for venues alone, if it is."""
    if abs(move) > policy.extraordinary_move:
        return f"beyond {math.expm1(-policy.extraordinary_move):.0%} or {math.expm1(policy.extraordinary_move):+.0%}"
    redeemed = market.values(Kind.REDEMPTION_VALUE) if policy.layers.redemption else []
    if redeemed and abs(off := price / median(redeemed) - 1) > policy.extraordinary_discount:
        return f"{off:+.1%} off its redemption value of {median(redeemed):g}"
    return None
