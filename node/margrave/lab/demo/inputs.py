"""A demonstration's three inputs, one flag apart: drill, recording, live venues. Same code after the socket."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

from margrave.errors import Fatal
from margrave.lab.feed import lender
from margrave.lab.feed.recording import load_recording
from margrave.lab.feed.scenario import load_scenario
from margrave.lab.feed.tape import Tape
from margrave.lab.feed.venues import DIALECTS
from margrave.operate.init import PUBLIC_VENUES
from margrave.settings import PROJECT_ROOT, Policy
from margrave.spans import HOUR_S
from margrave.verdicts import ReportKind

WALL_S_A_ROUND: Final = 3.5
"""What four nodes need on two cores, with room: collect, score, sign, gather, publish, confirm."""
LIVE_PERIOD_S: Final = 60
DRILL_ROUNDS: Final = 36
OPENING_ROUNDS: Final = 3
"""Not counted: the account takes its positions in them. A tape must reach beyond them and the counted ones."""
LIVE_ROUNDS: Final = 10
SCENARIOS: Final = PROJECT_ROOT / "config" / "scenarios"
RECORDING_DAYS: Final = ("2026-02-04T00:00:00+00:00", "2026-02-08T00:00:00+00:00")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the command line asked for."""

    recording: Path | None = None
    live: bool = False
    scenario: str = "may-2021"
    start: str | None = None
    rounds: int | None = None
    speed: float | None = None
    out: Path = Path("demo-output")
    wait: bool = False
    co_signed: bool = False
    """Reports of which a quorum signs the medians, instead of each member its own words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """Where the nodes' data comes from, when, and how fast."""

    kind: Literal["drill", "recording", "live"]
    title: str
    source: str
    real: str
    generated: str
    start_ms: int | None
    """Market time of the first round; `None` is now."""
    period_s: int
    rounds: int
    speed: float
    feed: tuple[str, ...]
    """The venue server's command without port and clock; empty where the venues are the public ones."""
    chain_age_s: int
    """How old the newest option chain may be: a recording has one every few hours."""
    markets: tuple[str, ...] = ()
    """That the venue server speaks of."""
    report: ReportKind = ReportKind.OWN_WORDS

    def venues(self, feed_url: str) -> Mapping[str, Mapping[str, Any]]:
        if not self.feed:
            return PUBLIC_VENUES
        return {
            name: {"base_url": f"{feed_url}/{name}", "requests_per_minute": 60_000, "timeout_s": 2.0}
            for name in DIALECTS
        }

    def chains(self, feed_url: str) -> Mapping[str, Mapping[str, Any]] | None:
        """The lending protocol that the venue server speaks for too; none of the public ones, whose chains take an
        endpoint of one's own."""
        if not self.feed:
            return None
        every_s = self.period_s / 2
        lending = {
            "protocol": "aave_v3",
            "address": lender.POOL,
            "assets": lender.assets(self.markets),
            "every_s": every_s,
            "history_s": 60 * 24 * HOUR_S,
        }
        return {
            "lending": {
                "rpc": [f"{feed_url}/_lab/lender"],
                "chain_id": lender.CHAIN_ID,
                "finality_blocks": 2,
                "every_s": every_s,
                "requests_per_minute": 100_000,
                "lending": [lending],
            }
        }


def choose(wish: Wish) -> Input:
    """Raises `Fatal` when the scenario or recording is not there, or does not cover the rounds asked for."""
    source = _chosen(wish)
    return replace(source, report=ReportKind.CO_SIGNED) if wish.co_signed else source


def _chosen(wish: Wish) -> Input:
    if wish.live:
        return _live(wish)
    if wish.recording is not None:
        first = wish.start or RECORDING_DAYS[0]
        tape: Tape = load_recording(wish.recording, _ms(first), _ms(RECORDING_DAYS[1]))
        feed = ("--recording", str(wish.recording), "--from", first, "--to", RECORDING_DAYS[1])
        return _taped("recording", tape, wish, _ms(first), feed, chain_age_s=8 * HOUR_S)
    path = SCENARIOS / f"{wish.scenario}.toml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in SCENARIOS.glob("*.toml")))
        raise Fatal(f"no scenario {wish.scenario!r}", advice=f"choose one of {known}")
    tape = load_scenario(path)
    start_ms = _ms(wish.start) if wish.start else tape.opens_ms
    return _taped("drill", tape, wish, start_ms, ("--scenario", str(path)), chain_age_s=HOUR_S)


def policy_for(base: Policy, source: Input) -> Policy:
    """Governance's policy with the clocks of this input: bounds as they are, steps as much an hour as they are."""
    period_s = source.period_s
    longer = period_s / base.round.period_s
    accelerated = source.speed != 1.0
    rounds = base.round.model_copy(
        update={
            "report": source.report,
            "period_s": period_s,
            "heartbeat_s": period_s,
            "max_report_age_s": 2 * period_s,
            "min_interval_s": period_s,
            "aging_after_s": 3 * period_s,
            "stale_after_s": 8 * period_s,
        }
    )
    # On an accelerated clock a hundred milliseconds of the wall are minutes of the market.
    guard = base.guard.model_copy(
        update={
            "max_age_s": float(period_s) if accelerated else base.guard.max_age_s,
            "max_future_s": period_s / 4 if accelerated else base.guard.max_future_s,
            "max_chain_age_s": float(source.chain_age_s),
        }
    )
    lanes = {name: limit.scaled(longer) for name, limit in base.limits.lanes.items()}
    limits = base.limits.model_copy(update={"lanes": lanes})
    return base.model_copy(update={"round": rounds, "guard": guard, "limits": limits})


def _taped(
    kind: Literal["drill", "recording"],
    tape: Tape,
    wish: Wish,
    start_ms: int,
    feed: tuple[str, ...],
    *,
    chain_age_s: int,
) -> Input:
    most = (tape.end_ms - start_ms) // (HOUR_S * 1000) - OPENING_ROUNDS
    if not tape.start_ms <= start_ms or most < 1:
        raise Fatal(f"the {kind} does not cover that start", advice=f"choose --from within {_span(tape)}")
    rounds = wish.rounds or min(most, DRILL_ROUNDS if kind == "drill" else most)
    if rounds > most:
        raise Fatal(f"{rounds} rounds where the {kind} has {most}", advice=f"it covers {_span(tape)}")
    return Input(
        kind=kind,
        title=tape.title,
        source=tape.source,
        real=tape.real,
        generated=f"{tape.generated}; the borrowers of a lending protocol, whose health follows the prices",
        start_ms=start_ms,
        period_s=HOUR_S,
        rounds=rounds,
        speed=wish.speed or HOUR_S / WALL_S_A_ROUND,
        feed=(sys.executable, "-m", "margrave.lab.feed", *feed),
        chain_age_s=chain_age_s,
        markets=tape.markets,
    )


def _live(wish: Wish) -> Input:
    return Input(
        kind="live",
        title="Live markets",
        source="public endpoints of Deribit, Binance, OKX, Bybit and Kraken",
        real="everything: prices, books, candles, funding, open interest and option chains as the venues serve them",
        generated="nothing but the local chain and the demonstration account",
        start_ms=None,
        period_s=LIVE_PERIOD_S,
        rounds=wish.rounds or LIVE_ROUNDS,
        speed=1.0,
        feed=(),
        chain_age_s=15 * 60,
    )


def _ms(iso: str) -> int:
    try:
        when = datetime.fromisoformat(iso)
    except ValueError as error:
        raise Fatal(f"{iso!r} is not a time", advice="write it as 2026-02-04T00:00:00+00:00") from error
    return round((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() * 1000)


def _span(tape: Tape) -> str:
    first, last = (datetime.fromtimestamp(ms / 1000, UTC).isoformat() for ms in (tape.start_ms, tape.end_ms))
    return f"{first} to {last}"
