from __future__ import annotations

from pathlib import Path

import pytest
import tomli_w

from margrave.errors import Fatal
from margrave.operate.init import Plan, init
from margrave.settings import PROJECT_ROOT, load, load_markets, load_policy

CONFIG = PROJECT_ROOT / "config"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("node") / "ada"
    init(folder, Plan(name="ada"))
    return folder


def changed(made: Path, tmp_path: Path, old: str, new: str) -> Path:
    text = (made / "node.toml").read_text()
    assert old in text
    (tmp_path / "node.toml").write_text(text.replace(old, new))
    return tmp_path / "node.toml"


def line(path: Path) -> str:
    with pytest.raises(Fatal) as stopped:
        load(path)
    assert "\n" not in str(stopped.value)
    return str(stopped.value)


def test_what_init_writes_loads(made: Path) -> None:
    settings = load(made / "node.toml")
    assert settings.node.name == "ada"
    assert list(settings.markets) == ["BTC", "ETH"]


def test_relative_paths_are_relative_to_the_file(made: Path) -> None:
    assert load(made / "node.toml").node.state_dir == made / "state"


def test_a_mistyped_key_is_named_with_its_file(made: Path, tmp_path: Path) -> None:
    told = line(changed(made, tmp_path, "chain_id", "chainid"))
    assert "node.toml" in told
    assert "unknown key chain.chainid" in told


def test_a_value_of_the_wrong_kind_is_named(made: Path, tmp_path: Path) -> None:
    assert "chain.chain_id" in line(changed(made, tmp_path, "chain_id = 31337", 'chain_id = "mainnet"'))


def test_broken_toml_names_the_line(made: Path, tmp_path: Path) -> None:
    assert "line" in line(changed(made, tmp_path, "[chain]", "[chain"))


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    assert "margrave init" in line(tmp_path / "node.toml")


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "node.toml").write_bytes(b"\xff\xfe\x00")
    assert "not TOML" in line(tmp_path / "node.toml")


def test_the_published_policy_and_markets_load() -> None:
    assert load_policy(CONFIG / "policy.toml").round.period_s > 0
    assert [m.id for m in load_markets(CONFIG / "markets.toml").values()] == [0, 1]


def policy_with(tmp_path: Path, **changes: dict[str, float]) -> Path:
    document = load_policy(CONFIG / "policy.toml").model_dump(exclude_none=True)
    for lane, limit in changes.items():
        document["limits"]["lanes"][lane] = limit
    (tmp_path / "policy.toml").write_text(tomli_w.dumps(document))
    return tmp_path / "policy.toml"


def test_bounds_outside_a_lanes_meaning_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Fatal, match="ssvi_wing: bounds must lie within"):
        load_policy(policy_with(tmp_path, ssvi_wing={"low": 0, "high": 2.5}))


def test_bounds_upside_down_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Fatal, match="is above high"):
        load_policy(policy_with(tmp_path, liquidity={"low": 0.5, "high": 0.1}))


def test_limits_for_a_lane_that_does_not_exist_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Fatal, match="unknown lane gamma"):
        load_policy(policy_with(tmp_path, gamma={"low": 0, "high": 1}))


@pytest.mark.parametrize("ids", [(0, 2), (1, 2), (0, 0)])
def test_market_ids_with_gaps_or_repeats_are_refused(tmp_path: Path, ids: tuple[int, int]) -> None:
    rows = "".join(
        f'[market.M{i}]\nid = {id_}\nreference_size_usd = 1\n[market.M{i}.instruments]\nokx = {{ spot = "X" }}\n'
        for i, id_ in enumerate(ids)
    )
    (tmp_path / "markets.toml").write_text(rows)
    with pytest.raises(Fatal, match="number the markets"):
        load_markets(tmp_path / "markets.toml")
