from __future__ import annotations

from pathlib import Path

import pytest
import tomli_w

from margrave.errors import Fatal
from margrave.operate.init import Plan, init
from margrave.settings import PROJECT_ROOT, NodeSettings, load, load_markets, load_policy, load_section

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


def test_a_chain_of_lanes_has_one_daily_budget(tmp_path: Path) -> None:
    with pytest.raises(Fatal, match="give them one daily budget"):
        load_policy(policy_with(tmp_path, up_es99={"low": 0.001, "high": 2, "daily": 0.1}))


@pytest.mark.parametrize("key", ["max_rise", "max_fall", "daily"])
def test_a_step_or_a_budget_below_nothing_is_refused(tmp_path: Path, key: str) -> None:
    with pytest.raises(Fatal, match=f"liquidity.{key}"):
        load_policy(policy_with(tmp_path, liquidity={"low": 0, "high": 0.5, key: -0.1}))


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("report", "spoken_words", "own_words"),
        ("min_interval_s", 7_200, "longer than the heartbeat"),
        ("max_skew_s", -1, "max_skew_s"),
    ],
)
def test_a_round_that_the_contract_would_not_take_is_refused(
    tmp_path: Path, key: str, value: object, problem: str
) -> None:
    document = load_policy(CONFIG / "policy.toml").model_dump(mode="json", exclude_none=True)
    document["round"][key] = value
    (tmp_path / "policy.toml").write_text(tomli_w.dumps(document))
    with pytest.raises(Fatal, match=problem):
        load_policy(tmp_path / "policy.toml")


def markets_with_groups(tmp_path: Path, *groups: int) -> Path:
    rows = "".join(
        f"[market.M{i}]\nid = {i}\nreference_size_usd = 1\ngroup = {group}\n"
        f'[market.M{i}.instruments]\nokx = {{ spot = "X" }}\n'
        for i, group in enumerate(groups)
    )
    (tmp_path / "markets.toml").write_text(rows)
    return tmp_path / "markets.toml"


def test_markets_of_a_group_lie_next_to_each_other(tmp_path: Path) -> None:
    assert [m.group for m in load_markets(markets_with_groups(tmp_path, 0, 1, 1, 0, 2)).values()] == [0, 1, 1, 0, 2]
    with pytest.raises(Fatal, match="group 1 are not next to each other"):
        load_markets(markets_with_groups(tmp_path, 1, 0, 1))


CHAINS = """
[chains.ethereum]
rpc = ["https://one.example/key", "https://two.example/key"]
chain_id = 1

[[chains.ethereum.lending]]
protocol = "aave_v3"
address = "0x87870Bca3F3fD6335C3F4ce8392D69350B4fA4E2"
assets = { "0x2260FAC5E5542a773Aa44fBCfeDf7C193bc2C599" = "BTC", "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2" = "ETH" }

[[chains.ethereum.lending]]
protocol = "morpho"
address = "0xBBBBBbbBBb9cC5e90e3b3Af64bdAF62C37EEFFCb"
assets = { "0xb323495f7e4148be5643a4ea4a8221eef163e4bccfdedc2a6f4696baacbc86cc" = "ETH" }
"""


def with_chains(made: Path, tmp_path: Path, old: str = "", new: str = "") -> Path:
    assert old in CHAINS
    (tmp_path / "node.toml").write_text((made / "node.toml").read_text() + CHAINS.replace(old, new, 1))
    return tmp_path / "node.toml"


def test_a_watched_chain_is_read_and_its_addresses_written_one_way(made: Path, tmp_path: Path) -> None:
    path = with_chains(made, tmp_path)
    chain = load_section(path, NodeSettings).chains["ethereum"]
    aave, morpho = chain.lending
    assert aave.address == "0x87870bca3f3fd6335c3f4ce8392d69350b4fa4e2"
    assert list(aave.assets.values()) == ["BTC", "ETH"]
    assert all(asset == asset.lower() for asset in (*aave.assets, *morpho.assets))


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("chain_id = 1", "chain_id = 1\nwitnesses = 3", "witnesses 3 are more than the 2 endpoints"),
        ("0x87870Bca3F3fD6335C3F4ce8392D69350B4fA4E2", "0x87870Bca", "address"),
        ('"aave_v3"', '"aave_v4"', "protocol"),
        ('"morpho"', '"aave_v3"', "is not an address"),
        ('"aave_v3"', '"morpho"', "is not a market id of 32 bytes"),
        ("lending]]", "lendings]]", "unknown key chains.ethereum.lendings"),
        ('rpc = ["https://one.example/key", "https://two.example/key"]', "rpc = []", "rpc"),
    ],
)
def test_a_watched_chain_with_a_mistake_names_it(made: Path, tmp_path: Path, old: str, new: str, told: str) -> None:
    assert told in line(with_chains(made, tmp_path, old, new))
