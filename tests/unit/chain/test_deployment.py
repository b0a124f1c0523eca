"""What a deployment is planned from: network files, permissions, addresses, records, and what a vote must contain."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from eth_abi.abi import decode

from margrave.chain import artifacts
from margrave.chain.artifacts import CONTRACTS_DIR
from margrave.chain.deployment.blueprint import FACTORY, Blueprint, calldata, create2_address, selector
from margrave.chain.deployment.network import load_network
from margrave.chain.deployment.plan import plan
from margrave.chain.deployment.proposal import Action, announced, at_once, proposal_id
from margrave.chain.deployment.record import Made, Record, Sent
from margrave.chain.deployment.roles import PERMISSIONS, Role
from margrave.errors import Fatal
from margrave.settings import PROJECT_ROOT

LOCAL = PROJECT_ROOT / "config" / "networks" / "local.toml"
DEPLOYER = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
SALT = bytes(31) + b"\x01"
RESTRICTED = re.compile(r"function (\w+)\([^)]*\)\s+external\s+(?:\w+\s+)*?restricted\b")


def test_every_restricted_function_of_the_contracts_has_a_role() -> None:
    """Read from the sources, inherited functions too: one that is forgotten here would fall to the slow admin."""
    blueprint = plan(load_network(LOCAL, DEPLOYER)[1], SALT)
    sources = {path.stem: path.read_text() for path in CONTRACTS_DIR.glob("src/*/*.sol")}
    found = 0
    for key, planned in blueprint.contracts.items():
        if planned.artifact not in sources:
            continue  # a library's own contract
        names = {name for file in _ancestors(planned.artifact, sources) for name in RESTRICTED.findall(sources[file])}
        given = [name for functions in PERMISSIONS.get(key, {}).values() for name in functions]
        assert sorted(given) == sorted(names), key
        found += len(names)
    assert found >= 25
    assert set(PERMISSIONS) <= set(blueprint.contracts)


def _ancestors(name: str, sources: dict[str, str]) -> set[str]:
    """The contract and the project's contracts that it inherits."""
    seen, todo = set(), [name]
    while todo:
        each = todo.pop()
        if each in seen or each not in sources:
            continue
        seen.add(each)
        head = re.search(rf"contract {each}\s+is\s+([^{{]*)\{{", sources[each])
        todo += re.findall(r"\w+", head.group(1)) if head else []
    return seen


def test_the_guardian_is_given_nothing_that_loosens() -> None:
    guardians = {name for by_role in PERMISSIONS.values() for name in by_role.get(Role.GUARDIAN, ())}
    assert guardians == {
        "pause",
        "removeMember",
        "tightenClass",
        "halt",
        "dispute",
        "setCloseOnly",
        "setCloseOnlyEverywhere",
    }


def test_addresses_follow_from_salt_code_and_arguments_alone() -> None:
    one, same, other = Blueprint(SALT), Blueprint(SALT), Blueprint(bytes(32))
    for made in (one, same, other):
        made.create("authority", "AccessManager", DEPLOYER)
    code = bytes.fromhex(artifacts.load("AccessManager").bytecode[2:]) + bytes(12) + bytes.fromhex(DEPLOYER[2:])
    assert one.contracts["authority"].address == create2_address(SALT, code)
    assert one.contracts["authority"] == same.contracts["authority"]
    assert one.contracts["authority"].address != other.contracts["authority"].address
    assert one.steps[0].to == FACTORY
    assert one.steps[0].data == SALT + code
    assert one.digest() == same.digest() != other.digest()


def test_a_call_is_not_done_while_its_contract_is_not_there() -> None:
    made = Blueprint(SALT)
    planned = made.create("collateral", "MockUSD")
    made.call("mint", planned, "mint", DEPLOYER, 1, done=lambda _: True)

    class Empty:
        def has_code(self, address: str) -> bool:
            return address == ""

        def view(self, *_: Any) -> Any:
            raise AssertionError("asked of nothing")

    class Full(Empty):
        def has_code(self, address: str) -> bool:
            return address == planned.address

    assert not made.steps[1].done(Empty())
    assert made.steps[1].done(Full())


# --- what a vote must contain ---------------------------------------------------------------------------------------

MANAGER, TIMELOCK, TARGET = ("0x" + digit * 40 for digit in "123")


def test_what_does_not_wait_is_called_and_nothing_else() -> None:
    assert at_once(TARGET, b"\x01\x02") == [Action(TARGET, b"\x01\x02")]


def test_what_waits_is_announced_and_queued_in_one_vote() -> None:
    data = calldata("Registry", "setKind", (1, 0))
    actions, later = announced(MANAGER, TIMELOCK, TARGET, data, wait_s=259_200, salt=SALT)
    first, second = actions
    assert (first.target, second.target, later.target) == (MANAGER, TIMELOCK, MANAGER)
    assert first.data[:4] == selector("AccessManager", "schedule")
    assert decode(["address", "bytes", "uint48"], first.data[4:]) == (TARGET, data, 0)
    assert later.data[:4] == selector("AccessManager", "execute")
    assert decode(["address", "bytes"], later.data[4:]) == (TARGET, data)
    assert second.data[:4] == selector("TimelockController", "schedule")
    queued = decode(["address", "uint256", "bytes", "bytes32", "bytes32", "uint256"], second.data[4:])
    assert queued == (MANAGER, 0, later.data, bytes(32), SALT, 259_200)


def test_two_descriptions_of_the_same_actions_are_two_proposals() -> None:
    actions = at_once(TARGET, b"\x01\x02")
    assert proposal_id(actions, "a") != proposal_id(actions, "b")
    assert proposal_id(actions, "a") < 1 << 256


# --- files ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("quorum = 3", "quorum = 2", "not more than two thirds"),
        ("quorum = 3", "quorum = 5", "not more than two thirds"),
        ('"0x2B5AD5c4795c026514f8317c7a215E218DcCD6cF"', '"0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf"', "named twice"),
        ('"0x2B5AD5c4795c026514f8317c7a215E218DcCD6cF"', '"0x2B5A"', "not an address"),
        ("slow_delay_s = 259_200", "slow_delay_s = 172_799", "must not be shorter"),
        ("late_extension_s = 172_800", "late_extension_s = 700_000", "must not be longer"),
        ("threshold = 1_000", "threshold = 1_000_001", "nobody could propose"),
        ('model_set = "0x0001', 'model_set = "0x01', "32 bytes"),
        ('collateral = "mock"', 'collateral = "usd"', "not an address"),
        ('name = "local"', 'name = "Local Net"', "name"),
        ("max_multiplier = 3.0", "max_multiplier = 0.9", "max_multiplier"),
        ("[options]", "[option]", "option"),
        ('BTC = ["price", "down_es99", "score"]', 'BTC = ["prise"]', "'prise' is no published figure"),
        ('BTC = ["price", "down_es99", "score"]', 'BTC = ["price", "price"]', "a feed of BTC is named twice"),
        ('BTC = ["price", "down_es99", "score"]', "BTC = []", "at least 1"),
        ('ETH = ["price"]', 'SOL = ["price"]', "[adapters] names SOL, no market"),
        ('ETH = "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2"', f'SOL = "{DEPLOYER}"', "[adapters] names SOL"),
        ("0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2", "0x" + "00" * 20, "by no address"),
        (
            "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2",
            "0x2260FAC5E5542a773Aa44fBCfeDf7C193bc2C599",
            "two markets by one address",
        ),
        ("0x70997970C51812dc3A010C7d01b50e0d17dc79C8", DEPLOYER, "no power"),
        ("0x90F79bf6EB2c4f870365E785982E1f101E93b906", DEPLOYER, "no power"),
    ],
)
def test_a_network_file_that_is_wrong_says_what(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    text = LOCAL.read_text(encoding="utf-8").replace('"../', f'"{LOCAL.parent}/../')
    assert old in text
    path = tmp_path / "network.toml"
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(Fatal, match=re.escape(complaint)):
        load_network(path, DEPLOYER)


def test_another_deployer_name_or_salt_makes_another_deployment() -> None:
    network, _ = load_network(LOCAL, DEPLOYER)
    salts = {
        network.salt_for(DEPLOYER),
        network.salt_for("0x" + "11" * 20),
        network.model_copy(update={"salt": "again"}).salt_for(DEPLOYER),
        network.model_copy(update={"name": "other"}).salt_for(DEPLOYER),
    }
    assert len(salts) == 4
    assert network.salt_for(DEPLOYER) == network.salt_for(DEPLOYER)


def test_the_order_in_which_a_facade_s_markets_are_written_makes_no_other_facade(tmp_path: Path) -> None:
    text = LOCAL.read_text(encoding="utf-8").replace('"../', f'"{LOCAL.parent}/../')
    facade = text[text.index("[adapters.facades") : text.index("[governance]")]
    head, btc, eth = facade.strip().splitlines()
    path = tmp_path / "network.toml"
    path.write_text(text.replace(facade, f"{head}\n{eth}\n{btc}\n\n"), encoding="utf-8")
    assert load_network(path, DEPLOYER)[1].adapters == load_network(LOCAL, DEPLOYER)[1].adapters


def record() -> Record:
    made = Made(artifact="RiskOracle", address="0x" + "22" * 20, arguments="0x")
    return Record(
        name="x",
        chain_id=1,
        deployer=DEPLOYER,
        salt="0x",
        plan="0x",
        contracts={"oracle": made},
        powers=None,
        transactions=[Sent(step="create oracle (RiskOracle)", hash="0x01")],
    )


def test_a_record_is_read_back_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "x.json"
    record().write(path)
    assert Record.read(path) == record()
    assert [each.name for each in path.parent.iterdir()] == ["x.json"]
    assert record().address("oracle") == "0x" + "22" * 20
    with pytest.raises(Fatal, match="has no engine"):
        record().address("engine")


def test_a_record_that_is_none_or_of_another_version_says_so(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    with pytest.raises(Fatal, match="deploy first"):
        Record.read(path)
    path.write_text("{}")
    with pytest.raises(Fatal, match="not a deployment file"):
        Record.read(path)
    msgspec.structs.replace(record(), version=2).write(path)
    with pytest.raises(Fatal, match="of version 2"):
        Record.read(path)
