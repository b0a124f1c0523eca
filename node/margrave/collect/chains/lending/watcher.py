"""Watches one lending protocol on one chain: liquidations of the last hour, borrowers by health, reserves changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from margrave.collect.chains.lending.events import Borrowed, Changed, Liquidated, say
from margrave.collect.chains.lending.health import EDGES, Position, Tracked, distribution
from margrave.collect.chains.lending.lender import Lender
from margrave.collect.chains.lending.window import Window
from margrave.collect.chains.logs import Log, LogFilter
from margrave.collect.chains.reader import Sweep
from margrave.collect.source import Item
from margrave.errors import Rejected
from margrave.messages import HealthReading, Kind, LiquidationsReading, NoticeReading, Refusal, ScalarReading
from margrave.verdicts import Rejection

WINDOW_S: Final = 3_600
DUST_USD: Final = 100.0
"""An account that owes less is not worth a read."""
MOST_TOLD: Final = 5
"""Refusals of one sweep told one by one; the rest is a number."""


class LendingWatcher:
    """One `Lender` as a `Watcher`.

    Args:
        chain_id, name: the source's name.
        most_accounts: tracked at once, largest debts first.
        every_s: seconds between two readings of the accounts.
        history_s: how far back borrowers are looked for when the node has no checkpoint.
    """

    def __init__(
        self, lender: Lender, *, chain_id: int, name: str, most_accounts: int, every_s: float, history_s: float
    ) -> None:
        self._lender = lender
        self._source = f"{name}:{chain_id}"
        self._every_s = every_s
        self._history_s = max(history_s, float(WINDOW_S))
        self._window = Window(WINDOW_S * 1000)
        self._tracked = Tracked(most_accounts)
        self._restored = False

    @property
    def source(self) -> str:
        return self._source

    @property
    def every_s(self) -> float:
        return self._every_s

    @property
    def history_s(self) -> float:
        """The window alone where a checkpoint has brought the borrowers."""
        return float(WINDOW_S) if self._restored else self._history_s

    @property
    def accounts(self) -> int:
        """Tracked now."""
        return len(self._tracked)

    def wanted(self) -> LogFilter:
        return LogFilter(self._lender.addresses, frozenset(self._lender.lines))

    def heard(self, log: Log, time_ms: int) -> Iterator[Item]:
        said = say(self._lender.lines, log)
        match said:
            case Liquidated():
                self._window.add(log, said, time_ms)
                self._track(said.borrower, said.market)
            case Borrowed():
                self._track(said.account, said.market)
            case Changed():
                for market in self._markets_of(said.asset):
                    yield NoticeReading(
                        source=self.source,
                        market=market,
                        instrument=said.asset or log.address,
                        venue_time_ms=time_ms,
                        seen_time_ms=time_ms,
                        topic=said.topic,
                        text=said.text,
                    )

    def withdrawn(self, log: Log) -> None:
        # A borrower found in an orphan is read like the others: the read says whether there is a debt.
        self._window.take_back(log)

    def forget(self) -> None:
        self._window.clear()

    async def read(self, sweep: Sweep, seen_ms: int) -> Iterable[Item]:
        await self._lender.prepare(sweep)
        for key, liquidated in self._window.unvalued():
            self._window.value(key, self._lender.value(liquidated))
        keys = self._tracked.accounts()
        positions, refused = await self._lender.positions(sweep, keys)
        self._tracked.measured({key: p.debt_usd for key, p in positions.items()}, dust_usd=DUST_USD)
        return [
            *self._liquidations(sweep, seen_ms),
            *self._health(sweep, seen_ms, positions),
            *self._refusals(refused),
        ]

    def state(self) -> Any:
        return {"tracked": self._tracked.state()}

    def restore(self, state: Any) -> None:
        tracked = state.get("tracked") if isinstance(state, dict) else None
        if not isinstance(tracked, dict) or not all(
            isinstance(key, str) and (debt is None or isinstance(debt, int | float)) for key, debt in tracked.items()
        ):
            raise Rejected(Rejection.MALFORMED, f"the state of {self.source} is not one of tracked accounts")
        self._tracked.restore(tracked)
        self._restored = True

    def _track(self, account: str, market: bytes) -> None:
        if key := self._lender.key(Borrowed(account, "", 0, market)):
            self._tracked.add(key)

    def _markets_of(self, asset: str) -> list[str]:
        """Whom a change concerns: the asset's markets, or all where it is the protocol's. Others are not ours."""
        if not asset:
            return list(self._lender.markets)
        return [market for market, assets in self._lender.markets.items() if asset in assets]

    def _liquidations(self, sweep: Sweep, seen_ms: int) -> Iterator[Item]:
        time_ms = sweep.block.time_ms
        for market, sums in self._window.sums(time_ms, self._lender.markets).items():
            yield LiquidationsReading(
                source=self.source,
                market=market,
                instrument=self._lender.name,
                venue_time_ms=time_ms,
                seen_time_ms=seen_ms,
                from_ms=time_ms - WINDOW_S * 1000,
                count=sums.count,
                long_usd=sums.long_usd,
                short_usd=sums.short_usd,
                largest_usd=sums.largest_usd,
            )

    def _health(self, sweep: Sweep, seen_ms: int, positions: Mapping[str, Position]) -> Iterator[Item]:
        """Nothing where nobody is tracked: «no debt known» must not pass for «no debt at risk»."""
        if not positions:
            return
        for market, assets in self._lender.markets.items():
            shared = distribution(positions.values(), assets)
            yield HealthReading(
                source=self.source,
                market=market,
                instrument=self._lender.name,
                venue_time_ms=sweep.block.time_ms,
                seen_time_ms=seen_ms,
                protocol=self._lender.name,
                edges=EDGES,
                debt_usd=shared.debt_usd,
                collateral_usd=shared.collateral_usd,
                concentration=shared.concentration,
                block=sweep.block.number,
            )
            yield ScalarReading(
                source=self.source,
                market=market,
                instrument=self._lender.name,
                venue_time_ms=sweep.block.time_ms,
                seen_time_ms=seen_ms,
                kind=Kind.HEALTH_AT_RISK,
                value=shared.at_risk,
            )

    def _refusals(self, refused: list[Rejected]) -> Iterator[Item]:
        told = [(rejected.reason, rejected.problem) for rejected in refused[:MOST_TOLD]]
        if (more := len(refused) - MOST_TOLD) > 0:
            told.append((refused[MOST_TOLD].reason, f"and {more} more accounts"))
        for reason, detail in told:
            yield Refusal(source=self.source, market="*", what="position", reason=reason, detail=detail)
