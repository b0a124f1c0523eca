"""`margrave cascade`: both layouts, every bad column in its line, the drawing, and the real snapshot."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pandas as pd
import pytest

from margrave.errors import Rejected
from margrave.lab.fire_sale import asked
from tests.unit.terminal import Run

LONG = pd.DataFrame(
    [
        ("ada", "WBTC", "collateral", 1.0),
        ("ada", "USDC", "debt", 45_000.0),
        ("bob", "wstETH", "collateral", 20.0),
        ("bob", "usdt", "Debt", 30_000.0),
        ("bob", "USDT", "debt", 5_000.0),
        ("eve", "WBTC", "collateral", 2.0),
    ],
    columns=["account", "asset", "kind", "amount"],
)
PRICES = ("--price", "BTC=60000", "--price", "wsteth=2500")
SNAPSHOT = pd.DataFrame(
    [
        ("a", "wbtc", "wBTC", "V3", "USDC", 20_000.0, 1.0),  # the same bitcoin and debt under two keys
        ("a", "cbbtc", "cbBTC", "V3", "USDC", 20_000.0, 1.0),
        ("b", "wbtc", "wBTC", "V2", "DAI", 20_000.0, 1.0),  # stable and variable debt of one coin
        ("b", "wbtc", "wBTC", "V2", "DAI", 22_000.0, 1.0),
        ("c", "wbtc", "wBTC", "V2", "USDC", 1.0, 0.0),  # against something that is not shown
        ("d", "wbtc", "wBTC", "V2", "WETH", 100.0, 1.0),  # more than the bitcoin bears
        ("a", "wbtc", "wBTC", "V2", "UST", 5.0, 1.0),  # another pool, and nobody prices it
    ],
    columns=[
        "account",
        "collateral_key",
        "collateral_symbol",
        "version",
        "borrowed_symbol",
        "borrow_balance_tokens",
        "btc_collateral_tokens",
    ],
)


@pytest.fixture
def long(tmp_path: Path) -> Path:
    file = tmp_path / "positions.csv"
    LONG.to_csv(file, index=False)
    return file


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    folder = tmp_path / "snapshot"
    folder.mkdir()
    SNAPSHOT.to_parquet(folder / "open.parquet")
    days = pd.to_datetime(["2026-01-02", "2026-01-01", "2026-01-02"])
    prices = pd.DataFrame({"date": days, "symbol": ["WBTC", "WBTC", "WETH"], "price_usd": [60_000.0, 1.0, 2_000.0]})
    prices.to_parquet(folder / "prices.parquet")
    return folder / "open.parquet"


def told(run: Run, *words: object) -> dict[str, object]:
    code, out, err = run("cascade", *words, "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert isinstance(found, dict)
    return found


def test_a_long_file_is_simulated_by_hand(run: Run, long: Path) -> None:
    """At -10 % bob's 20 wstETH are worth 45,000 x 0.78 = 35,100 against 35,000: well. Ada's 54,000 x 0.78 = 42,120
    against 45,000 is below 0.95: all is repaid, 47,250 / 54,000 of her bitcoin sold."""
    found = told(run, "--positions", long, "--shock", "-10%", "--depth", "1e9", *PRICES)
    assert found["accounts"] == 2
    assert found["debt_usd"] == 80_000
    assert found["liquidated"] == 1
    assert found["repaid_usd"] == 45_000
    assert found["rounds"][0]["sold"] == {"WBTC": pytest.approx(47_250 / 54_000)}  # type: ignore[index]
    assert found["bad_debt_usd"] == 0


def test_only_the_asset_that_was_asked_for_falls_and_its_wrapped_forms(run: Run, long: Path) -> None:
    found = told(run, "--positions", long, "--shock", "-0.5", "--asset", "eth", *PRICES)
    assert found["shocked"] == {"WSTETH": 1_250}
    assert found["liquidated"] == 1
    assert found["bad_debt_usd"] == pytest.approx(35_000 - 20 * 1_250 / 1.05, rel=1e-12)


def test_the_waterfall_is_printed_round_by_round_with_what_was_assumed(run: Run, long: Path) -> None:
    code, out, _ = run("cascade", "--positions", long, "--shock", "−30%", "--depth", "100000", *PRICES)
    assert code == 0
    lines = out.splitlines()
    assert lines[0].startswith("positions.csv: 2 accounts owe 80,000 USD against 60,000 USD of WBTC, 50,000 USD of WST")
    assert lines[2].split()[:2] == ["round", "accounts"]
    assert lines[3].split()[:2] == ["1", "2"]
    assert any("threshold 0.78 and bonus 0.05 assumed of WBTC, WSTETH" in line for line in lines)
    assert any("at one dollar: USDC, USDT" in line for line in lines)


def test_prices_thresholds_and_bonuses_may_stand_beside_the_amounts(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "own.parquet"
    own = LONG.assign(
        price_usd=[60_000, 1, 2_500, 1, 1, 60_000], threshold=[0.8, 0, 0.7, 0, 0, 0.8], bonus=[0.1, 0, 0.1, 0, 0, 0.1]
    )
    own.to_parquet(file)
    found = told(run, "--positions", file, "--shock", "0%", "--depth", "1e9")
    assert found["liquidated"] == 0
    assert found["said"] == []
    assert told(run, "--positions", file, "--shock", "-7%", "--depth", "1e9")["liquidated"] == 2


def test_thresholds_come_from_aaves_reserve_data_too(run: Run, long: Path, tmp_path: Path) -> None:
    table = pd.DataFrame(
        {
            "symbol": ["WBTC", "wstETH"],
            "reserveLiquidationThreshold": [9_000, 9_000],
            "reserveLiquidationBonus": [10_500, 10_000],
        }
    )
    table.to_csv(tmp_path / "reserves.csv", index=False)
    words = ("--positions", long, "--shock", "-16%", "--depth", "1e9", "--parameters", tmp_path / "reserves.csv")
    found = told(run, *words, *PRICES)
    assert found["liquidated"] == 0
    assert not [line for line in found["said"] if "assumed" in line]  # type: ignore[attr-defined]


def test_a_snapshot_counts_what_is_told_twice_once_and_says_what_it_does_not_show(run: Run, snapshot: Path) -> None:
    found = told(run, "--positions", snapshot, "--shock", "-20%", "--depth", "1e9")
    assert found["accounts"] == 2
    assert found["debt_usd"] == 20_000 + 42_000
    assert found["collateral_usd"] == {"BTC": 120_000}
    assert found["liquidated"] == 1
    said = "\n".join(found["said"])  # type: ignore[arg-type]
    assert "1 of 5 accounts show no BTC collateral" in said
    assert "other collateral of these accounts is taken as none" in said
    assert "no price of UST: 1 balances of 1 accounts" in said
    assert "1 accounts owe 200,000 USD, more than what is shown bears" in said
    assert "prices from prices.parquet of 2026-01-02" in said


def test_a_snapshot_may_be_taken_as_shown(run: Run, snapshot: Path) -> None:
    found = told(run, "--positions", snapshot, "--shock", "0%", "--depth", "1e9", "--as-shown")
    assert found["accounts"] == 3
    assert found["bad_debt_usd"] == pytest.approx(200_000 - 60_000 / 1.05)


def test_the_drawing_is_written_and_names_what_it_shows(run: Run, long: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, text, _ = run("cascade", "--positions", long, "--shock", "-30%", "--depth", "100000", "--out", out, *PRICES)
    assert code == 0
    assert text.splitlines()[-2:] == [str(out / "cascade.png"), str(out / "cascade.svg")]
    assert (out / "cascade.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (out / "cascade.svg").read_text()


def test_nobody_below_one_is_drawn_too(run: Run, long: Path, tmp_path: Path) -> None:
    code, text, _ = run("cascade", "--positions", long, "--shock", "0", "--out", tmp_path / "out", *PRICES)
    assert code == 0
    assert "nobody falls below one" in text


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"amount": [1.0, -45_000.0, 20.0, 1.0, 1.0, 2.0]}, "column amount, row 2: -45000.0 is negative"),
        (
            {"amount": [1.0, 1.0, 20.0, float("nan"), 1.0, None]},
            "column amount, row 4: nan is not a number, and 1 more",
        ),
        ({"amount": ["1", "x", "3", "4", "5", "6"]}, "column amount, row 2: 'x' is not a number"),
        ({"kind": ["collateral", "dept", "debt", "debt", "debt", "debt"]}, "column kind, row 2: 'dept' is neither"),
        ({"account": ["a", "b", None, "d", "e", "f"]}, "column account, row 3: nan is empty"),
        ({"price_usd": [1.0, 0.0, 1.0, 1.0, 1.0, 1.0]}, "column price_usd, row 2: 0.0 is not positive"),
        ({"price_usd": [1.0, 1.0, 1.0, 1.0, 1.0, 7.0]}, "column price_usd: WBTC has 2 prices"),
    ],
)
def test_a_bad_column_is_one_clear_line(run: Run, tmp_path: Path, change: dict[str, list[object]], line: str) -> None:
    LONG.assign(**change).to_csv(tmp_path / "bad.csv", index=False)
    code, out, err = run("cascade", "--positions", tmp_path / "bad.csv", "--shock", "-10%", *PRICES)
    assert (code, out) == (2, "")
    assert f"bad.csv: {line}" in err


def test_every_bad_column_has_its_line(run: Run, tmp_path: Path) -> None:
    LONG.drop(columns="asset").assign(amount=-1.0, kind="x").to_csv(tmp_path / "bad.csv", index=False)
    code, _, err = run("cascade", "--positions", tmp_path / "bad.csv", "--shock", "-10%")
    assert code == 2
    assert err.count("bad.csv: column") == 3
    assert "column asset is missing" in err
    assert "and 5 more" in err


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--shock", "20%"), "'20%' is no fall"),
        (("--shock", "-100%"), "'-100%' is no fall"),
        (("--shock", "x"), "'x' is no fall"),
        (("--shock", "-1%", "--depth", "0"), "depth 0 USD"),
        (("--shock", "-1%", "--law", "cubic"), "no law 'cubic'"),
        (("--shock", "-1%", "--rules", "maker"), "no rules 'maker'"),
        (("--shock", "-1%", "--price", "BTC"), "price 'BTC'"),
        (("--shock", "-1%", "--price", "BTC=0"), "price of BTC: 0"),
        (("--shock", "-1%", "--asset", "DOGE", *PRICES), "nobody holds or owes DOGE"),
        (("--shock", "-1%", "--threshold", "1.2", *PRICES), "threshold of "),
        (("--shock", "-1%", "--bonus", "0.9", *PRICES), "would seize"),
        (("--shock", "-1%", "--prices", "nowhere.csv"), "nowhere.csv: No such file"),
    ],
)
def test_a_bad_word_is_one_clear_line(run: Run, long: Path, words: tuple[str, ...], line: str) -> None:
    code, out, err = run("cascade", "--positions", long, *words)
    assert (code, out) == (2, "")
    assert line in err
    assert err.count("\n") == 1


def test_a_file_that_is_none_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    LONG[LONG["kind"] == "collateral"].to_csv(tmp_path / "nobody.csv", index=False)
    for name, line in (("empty.csv", "empty.csv: "), ("other.csv", "has columns a, b"), ("nobody.csv", "nobody in")):
        code, _, err = run("cascade", "--positions", tmp_path / name, "--shock", "-1%", *PRICES)
        assert code == 2
        assert line in err


def test_a_move_is_read_with_any_minus() -> None:
    assert asked.move("-20%") == asked.move("\N{MINUS SIGN}20%") == asked.move(" -0.2 ") == -0.2
    with pytest.raises(Rejected):
        asked.move("nan")


@pytest.mark.data
def test_the_real_snapshot_is_read_and_falls(run: Run) -> None:
    if (root := os.environ.get("MARGRAVE_DATA")) is None:
        pytest.skip("MARGRAVE_DATA is not set")
    file = Path(root) / "aave_open_positions_snapshot_2026_02" / "open_positions.parquet"
    found = told(run, "--positions", file, "--shock", "-20%", "--asset", "BTC")
    assert found["accounts"] == 1_204
    assert found["settled"]
    assert 200e6 < found["liquidated_usd"] < 500e6  # type: ignore[operator]
