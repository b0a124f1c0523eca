"""Chains out of files: four layouts read alike, and what cannot be read is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from margrave.lab.court import chains
from margrave.score import black76, surface
from margrave.spans import HOUR_MS
from tests.history import needs_data, recorded
from tests.unit.lab.court.surface.made import AS_OF_MS, put, quotes_at


def test_snapshots_come_back_as_they_were_written(tmp_path: Path) -> None:
    put(tmp_path, [quotes_at(0), quotes_at(1)])
    found = chains.read(tmp_path)
    assert [chain.as_of_ms for chain in found.by_asset["BTC"]] == [AS_OF_MS, AS_OF_MS + 6 * HOUR_MS]
    first = found.by_asset["BTC"][0]
    assert first.index_usd == 70_000.0
    assert sorted(first.quotes, key=str) == sorted(quotes_at(0)[1], key=str)
    assert found.left_out == ()


def test_names_volatilities_and_deltas_do_for_terms_prices_and_forwards(tmp_path: Path) -> None:
    _, quotes = quotes_at(0)
    quotes = [q for q in quotes if q.expiry_ms > AS_OF_MS + 5 * 24 * HOUR_MS]
    rows = []
    for q in quotes:
        # the venue's names hold a day: eight in the morning is what is left of it
        expiry = np.datetime64(q.expiry_ms, "ms").astype("datetime64[D]").astype("datetime64[ms]")
        expiry_ms = int(expiry.astype(np.int64)) + 8 * HOUR_MS
        years = (expiry_ms - AS_OF_MS) / 86_400_000 / 365
        strike = round(q.strike)
        k, total = np.log(strike / q.forward), 0.6 * np.sqrt(years)
        call_delta = float(black76.ndtr(-k / total + total / 2))
        day = expiry.astype("datetime64[D]").item().strftime("%d%b%y").upper().lstrip("0")
        rows.append(
            (
                f"BTC-{day}-{strike}-{'C' if q.is_call else 'P'}",
                60.0,
                59.0,
                61.0,
                call_delta - (not q.is_call),
                q.forward,
            )
        )
    name, mark, bid, ask, delta, forward = zip(*rows, strict=True)
    table = pa.table(
        {
            "ts": pa.array([AS_OF_MS] * len(rows), type=pa.timestamp("ms", tz="UTC")),
            "instrument_name": name, "mark_iv": mark, "bid_iv": bid, "ask_iv": ask, "delta": delta,
        }
    )  # fmt: skip
    pq.write_table(table, tmp_path / "hourly.parquet")
    (chain,) = chains.read(tmp_path).by_asset["BTC"]
    assert len(chain.quotes) == len(rows)
    told = dict(zip(name, forward, strict=True))
    for quote in chain.quotes:
        assert quote.mark_iv == pytest.approx(0.6)
        assert quote.forward == pytest.approx(next(iter(told.values())), rel=0.05)
    assert surface.calibrate(chain.quotes, chain.as_of_ms).rmse_vol < 1e-3


def test_rows_minutes_apart_are_one_chain_and_the_later_of_twins_counts(tmp_path: Path) -> None:
    time, quotes = quotes_at(0)
    put(tmp_path, [(time, quotes), (time + 120_000, quotes[:40])])
    (chain,) = chains.read(tmp_path).by_asset["BTC"]
    assert len(chain.quotes) == len(quotes)
    assert chain.as_of_ms == time + 120_000


@pytest.mark.parametrize(
    ("instrument", "told"),
    [
        ("BTC-27MAR26-80000-C", ("BTC", 1774598400000, 80_000.0, True)),
        ("ETH-5NOV24-2550-P", ("ETH", 1730793600000, 2_550.0, False)),
        ("XRP_USDC-27MAR26-2d5-C", ("XRP", 1774598400000, 2.5, True)),
        ("BTC-PERPETUAL", ("", 0, 0.0, False)),
        ("BTC-32MAR26-80000-C", ("", 0, 0.0, False)),
        ("", ("", 0, 0.0, False)),
    ],
)
def test_instruments_are_read_as_the_venue_writes_them(instrument: str, told: tuple[str, int, float, bool]) -> None:
    assert chains.parsed(instrument) == told


def test_what_is_no_chain_is_passed_over_and_what_is_broken_is_said(tmp_path: Path) -> None:
    pq.write_table(pa.table({"ts": [1], "open": [1.0]}), tmp_path / "bars.parquet")
    (tmp_path / "torn.parquet").write_bytes(b"PAR1 torn")
    time, quotes = quotes_at(0)
    put(tmp_path, [(time, quotes[:5])], name="few")
    found = chains.read(tmp_path)
    assert len(found) == 0
    assert [line.split(":")[0] for line in found.left_out] == ["few/BTC.parquet", "torn.parquet"]


def test_numbers_that_are_none_do_not_reach_a_quote(tmp_path: Path) -> None:
    time, quotes = quotes_at(0)
    path = put(tmp_path, [(time, quotes)])
    table = pq.read_table(path).to_pandas()
    table.loc[:10, "bid"] = -1.0
    table.loc[11:20, "ask"] = float("inf")
    table.loc[21:30, "underlying"] = 0.0
    table.loc[31:40, "strike"] = float("nan")
    pq.write_table(pa.Table.from_pandas(table), path)
    (chain,) = chains.read(tmp_path).by_asset["BTC"]
    assert len(chain.quotes) == len(quotes) - 20
    for quote in chain.quotes:
        assert quote.forward > 0
        assert np.isfinite(quote.strike)
        assert quote.bid is None or quote.bid > 0
        assert quote.ask is None or np.isfinite(quote.ask)


@needs_data
def test_every_real_chain_of_one_file_calibrates() -> None:
    file = sorted(recorded().glob("deribit_option_chain*/*.parquet"))[0]
    found, left_out = chains.chains_in(file)
    assert found
    assert not left_out
    for chain in found:
        assert surface.calibrate(chain.quotes, chain.as_of_ms, index=chain.index_usd).rmse_vol < 0.2
