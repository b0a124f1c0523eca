"""Each layer by itself, on and off: what it alone keeps out, and that off means off."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec
import pytest

from margrave.guard.snapshot import Memory, take
from margrave.messages import AnyReading, Kind, Snapshot
from margrave.settings import GuardPolicy, Layers
from margrave.verdicts import Doubt, HoldReason, Rejection
from tests.unit.guard.sample import (
    FAIR,
    MARKETS,
    PERIOD_MS,
    POLICY,
    T0_MS,
    VENUES,
    book,
    books,
    flat_bars,
    histories,
    history,
    scalar,
)

OTHERS = {venue: 100.0 for venue in VENUES if venue != "okx"}
CHEAP = [*books(dict.fromkeys(VENUES, 80.0)), scalar("okx", Kind.OPEN_INTEREST, 9e12)]
NONE = POLICY.model_copy(update={"layers": Layers(**dict.fromkeys(Layers.model_fields, False))})


def only(layer: str) -> GuardPolicy:
    return NONE.model_copy(update={"layers": NONE.layers.model_copy(update={layer: True})})


def rounds(policy: GuardPolicy, *spoken: Iterable[AnyReading], apart_ms: int = PERIOD_MS) -> Snapshot:
    memory, at_ms = Memory(), T0_MS
    for readings in spoken:
        now = [msgspec.structs.replace(r, venue_time_ms=r.venue_time_ms + at_ms - T0_MS) for r in readings]
        bars = [r for r in histories(at_ms) if r.source not in {h.source for h in now if "bars" in h.what}]
        snapshot, memory = take(at_ms // PERIOD_MS, at_ms, [*now, *bars], MARKETS, policy, memory)
        at_ms += apart_ms
    return snapshot


def price(snapshot: Snapshot) -> float:
    (market,) = snapshot.markets
    return market.price


def doubts(snapshot: Snapshot) -> list[Doubt]:
    return [doubt.reason for market in snapshot.markets for doubt in market.doubts]


def spiked() -> list[AnyReading]:
    bars = flat_bars(240, price=100.0)
    spike = msgspec.structs.replace(bars[-9], high=2_400.0)
    return [*books(FAIR), *(history(v, (*bars[:-9], spike, *bars[-8:])) for v in VENUES)]


Effect = Callable[[GuardPolicy], object]
EFFECTS: dict[str, Effect] = {
    "range": lambda p: rounds(p, books({**FAIR, "okx": 1e12})).refusals != (),
    "staleness": lambda p: rounds(p, [*books(OTHERS), book("okx", 100.0, T0_MS - 3_600_000)]).refusals != (),
    "quorum": lambda p: [h.reason for h in rounds(p, books({"okx": 100.0, "kraken": 100.0})).holds],
    "weight_cap": lambda p: price(rounds(p, [*books(OTHERS), book("okx", 100.1, depth_usd=9e9)])) == 100.0,
    "outliers": lambda p: [r.reason for r in rounds(p, books({**FAIR, "okx": 130.0})).refusals],
    "middle": lambda p: price(rounds(p, [*books(OTHERS), book("okx", 90.0, depth_usd=9e12)])) == 100.0,
    "breaker": lambda p: [r.reason for r in rounds(p, books(FAIR), books({**FAIR, "okx": 150.0})).refusals],
    "extraordinary": lambda p: [h.reason for h in rounds(p, books(FAIR), books(dict.fromkeys(VENUES, 2_400.0))).holds],
    "cost_to_move": lambda p: Doubt.CHEAP_TO_MOVE in doubts(rounds(p, books(FAIR), CHEAP)),
    "twap": lambda p: doubts(rounds(p, [*books(FAIR), scalar("chain:1", Kind.SPOT_TWAP, 80.0)])),
    "basis": lambda p: doubts(rounds(p, [*books(FAIR), scalar("okx", Kind.MARK_PRICE, 80.0)])),
    "redemption": lambda p: doubts(rounds(p, [*books(FAIR), scalar("chain:1", Kind.REDEMPTION_VALUE, 80.0)])),
    "oracles": lambda p: doubts(rounds(p, [*books(FAIR), scalar("chain:1", Kind.ORACLE_PRICE, 80.0)])),
    "levels": lambda p: (
        rounds(
            p,
            [*books(FAIR), scalar("deribit", Kind.VOL_INDEX, 0.5)],
            [*books(FAIR), scalar("deribit", Kind.VOL_INDEX, 1.5)],
        )
        .markets[0]
        .vol_index
        is None
    ),
    "winsor": lambda p: max(b.high for b in rounds(p, spiked()).markets[0].bars) < 110,
}


def test_every_layer_has_a_test_here() -> None:
    assert EFFECTS.keys() == Layers.model_fields.keys()


@pytest.mark.parametrize("layer", list(EFFECTS))
def test_a_layer_alone_does_its_work_and_without_it_nobody_does(layer: str) -> None:
    assert EFFECTS[layer](only(layer))
    assert not EFFECTS[layer](NONE)


def test_what_is_no_number_is_refused_whatever_is_switched_off() -> None:
    nonsense = [
        msgspec.structs.replace(book("okx", 100.0), bid=float("nan")),
        scalar("kraken", Kind.INDEX_PRICE, -5.0),
    ]
    snapshot = rounds(NONE, [*books(dict.fromkeys(VENUES[:4], 100.0)), *nonsense])
    assert {r.reason for r in snapshot.refusals} == {Rejection.NOT_FINITE, Rejection.OUT_OF_RANGE}
    assert price(snapshot) == 100.0


def test_without_any_layer_one_venue_is_a_price_and_none_is_a_hold() -> None:
    assert price(rounds(NONE, books({"okx": 123.0}))) == 123.0
    (hold,) = rounds(NONE, []).holds
    assert hold.reason is HoldReason.TOO_FEW_SOURCES
