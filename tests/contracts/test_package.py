"""The npm package: what its tarball holds, and that contracts and programs can be built with it and nothing else."""

from __future__ import annotations

import json
import re
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import solcx

from margrave import lanes
from margrave.errors import Fatal
from margrave.lab.package import build
from margrave.lab.package.__main__ import FIELDS_FILE
from margrave.lab.package.fields import fields, fields_source
from margrave.lab.package.typescript import calls_source
from margrave.lanes import Words

pytestmark = pytest.mark.xdist_group("package")  # built once

PROJECT = build.PROJECT
TSC = PROJECT / "node_modules" / ".bin" / "tsc"
VECTORS = json.loads((PROJECT / "tests" / "vectors" / "words.json").read_text(encoding="utf-8"))

CONSUMER_TS = """
import {
  exact, fields, figure, figures, isUsable, observedAt, packedStatus, riskOracleAbi, Status,
  type FieldName, type IMarginEngineViews, type IRiskOracleViews, type MarketState, type Words,
} from "@margrave/contracts";

declare const oracle: IRiskOracleViews;
declare const engine: IMarginEngineViews;

export async function haircut(id: number): Promise<bigint> {
  const [risk, market, ageS, status] = await oracle.effective(id);
  if (!isUsable(status) || ageS > 3600n) throw new Error(`status ${status}`);
  return exact("down_es999", { risk, market });
}

export async function all(): Promise<Record<FieldName, number>[]> {
  const states: readonly MarketState[] = await oracle.readMany([0, 1]);
  const packed: readonly bigint[] = await oracle.readPacked([0]);
  if (packedStatus(packed[1] ?? 0n) === Status.HALTED) throw new Error("halted");
  const { initial, maintenance } = await engine.requirement(0, [1n], 10_000n);
  if (initial < maintenance) throw new Error("impossible");
  return states.map((x: Words) => figures(x));
}

// The ABI is typed to its letters: a name that is not in it is an error, and so is a unit that is not the table's.
type Names = Extract<(typeof riskOracleAbi)[number], { type: "function" }>["name"];
export const name: Names = "historyOf";
export const decimals: 8 = fields.price.decimals;
export const when: number = observedAt({ risk: 0n, market: 0n }) + figure("price", { risk: 0n, market: 0n });
"""

WRONG_TS = {
    "a field that is not there": 'exact("down_es98", { risk: 0n, market: 0n });',
    "a function that is not there": 'export const misspelt: Names = "reed";',
    "words that are numbers": 'exact("price", { risk: 0, market: 0 });',
    "a status taken for a boolean": "export const x: boolean = packedStatus(0n);",
    "an age taken for a number": "export const y = async (o: IRiskOracleViews) => (await o.read(0))[2] + 1;",
}

ALL_SOL = """
pragma solidity ^0.8.30;
import {AggregatorV3Adapter} from "@margrave/contracts/adapters/AggregatorV3Adapter.sol";
import {RiskOracleFacade} from "@margrave/contracts/adapters/RiskOracleFacade.sol";
import {LendingDesk} from "@margrave/contracts/adapters/examples/LendingDesk.sol";
import {Leg} from "@margrave/contracts/margin/Leg.sol";
import {IMarginEngine} from "@margrave/contracts/interfaces/IMarginEngine.sol";
import {IRegistry} from "@margrave/contracts/interfaces/IRegistry.sol";
"""

# What viem gives a program: typed by the ABI alone, as far as the page's example needs it.
CLIENT_TS = """
declare const address: `0x${string}`;
declare const client: {
  readContract(call: { address: string; abi: typeof riskOracleAbi; functionName: "effective"; args: [number] }):
    ReturnType<import("@margrave/contracts").IRiskOracleViews["effective"]>;
};
"""


def example(language: str) -> str:
    """The package's page shows one of each."""
    page = (build.ROOM / "README.md").read_text(encoding="utf-8")
    found = re.search(rf"```{language}\n(.*?)```", page, re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture(scope="module")
def tarball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("package")
    build.build(folder / "package")
    return build.pack(folder / "package", folder)


@pytest.fixture(scope="module")
def installed(tarball: Path) -> Path:
    """A project that has nothing but the package; gives the package's folder."""
    scope = tarball.parent / "project" / "node_modules" / "@margrave"
    scope.mkdir(parents=True)
    with tarfile.open(tarball) as archive:
        archive.extractall(scope, filter="data")
    return (scope / "package").rename(scope / "contracts")


@pytest.fixture(scope="module")
def project(installed: Path) -> Path:
    folder = installed.parents[2]
    (folder / "package.json").write_text('{"type": "module"}', encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def complaints(project: Path) -> Mapping[str, set[int]]:
    """Lines with errors by program, of all programs in one run of the compiler."""
    programs = {"right": CONSUMER_TS, "page": example("ts") + CLIENT_TS}
    programs |= {name.replace(" ", "-"): CONSUMER_TS + wrong for name, wrong in WRONG_TS.items()}
    for name, text in programs.items():
        (project / f"{name}.ts").write_text(text, encoding="utf-8")
    options = {"strict": True, "module": "nodenext", "target": "es2022", "noEmit": True, "types": []}
    manifest = {"compilerOptions": options, "files": [f"{name}.ts" for name in programs]}
    (project / "tsconfig.json").write_text(json.dumps(manifest), encoding="utf-8")
    done = subprocess.run([TSC, "--project", project], capture_output=True, text=True, check=False)
    found: dict[str, set[int]] = {name: set() for name in programs}
    for name, line in re.findall(r"([\w-]+)\.ts\((\d+),\d+\): error TS", done.stdout):
        found[name].add(int(line))
    return found


def test_the_tarball_holds_sources_abis_and_types_and_nothing_that_runs_on_install(tarball: Path) -> None:
    with tarfile.open(tarball) as archive:
        names = {name.removeprefix("package/") for name in archive.getnames()}
        manifest = json.loads(archive.extractfile("package/package.json").read())  # type: ignore[union-attr]
    assert {"README.md", "dist/index.js", "dist/index.d.ts", "abi/IRiskOracle.json"} <= names
    assert {"interfaces/IRiskOracle.sol", "adapters/RiskConsumer.sol", "oracle/Lanes.sol"} <= names
    assert {"scripts", "bin", "optionalDependencies"}.isdisjoint(manifest)
    workbench = json.loads((PROJECT / "package.json").read_text(encoding="utf-8"))["devDependencies"]
    assert manifest["dependencies"] == {"solady": workbench["solady"]}
    assert not {name for name in names if re.search(r"test|mock|tsconfig|^ts/", name, re.IGNORECASE)}


def test_the_tarball_names_no_address(tarball: Path) -> None:
    with tarfile.open(tarball) as archive:
        for member in archive.getmembers():
            text = archive.extractfile(member).read().decode()  # type: ignore[union-attr]
            assert not re.findall(r"0x[0-9a-fA-F]{40}(?![0-9a-fA-F])", text), member.name


def test_the_solidity_fields_are_generated_from_the_wire_table() -> None:
    assert FIELDS_FILE.read_text(encoding="utf-8") == fields_source()


def test_every_field_s_decimals_and_step_are_its_unit() -> None:
    for field in fields():
        unit = lanes.PRICE_UNIT_USD if field.name == "price" else lanes.LANES[field.name].unit
        assert field.step / 10**field.decimals == pytest.approx(unit, rel=1e-12)


def test_the_facade_s_functions_and_struct_are_what_consumers_decode(installed: Path) -> None:
    abi = json.loads((installed / "abi" / "IRiskParameterOracle.json").read_text(encoding="utf-8"))
    signatures = {f"{x['name']}({','.join(y['type'] for y in x['inputs'])})" for x in abi}
    assert signatures == {"getLatestUpdateByParameterAndMarket(string,address)", "getUpdateById(uint256)"}
    order = ["timestamp", "newValue", "referenceId", "previousValue", "updateType", "updateId", "market"]
    assert [x["name"] for x in abi[0]["outputs"][0]["components"]] == [*order, "additionalData"]


def test_a_strict_program_compiles_against_the_types(complaints: Mapping[str, set[int]]) -> None:
    assert complaints["right"] == set()


def test_the_page_s_program_compiles(complaints: Mapping[str, set[int]]) -> None:
    assert complaints["page"] == set()


@pytest.mark.parametrize("wrong", WRONG_TS)
def test_a_program_that_is_wrong_does_not_compile(complaints: Mapping[str, set[int]], wrong: str) -> None:
    assert complaints[wrong.replace(" ", "-")] == {CONSUMER_TS.count("\n") + 1}


def test_javascript_decodes_the_words_that_python_encodes(project: Path) -> None:
    words = list(zip(VECTORS["risk"], VECTORS["market"], strict=True))
    script = """
import { exact, figures } from "@margrave/contracts";
const words = JSON.parse(process.argv[1]).map(([risk, market]) => ({ risk: BigInt(risk), market: BigInt(market) }));
console.log(JSON.stringify(words.map((x) => ({ ...figures(x), exact_price: exact("price", x).toString() }))));
"""
    done = subprocess.run(
        ["node", "--input-type=module", "-e", script, json.dumps(words)],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for (risk, market), decoded in zip(words, json.loads(done.stdout), strict=True):
        pair = Words(risk=int(risk, 16), market=int(market, 16))
        for field in fields():
            wanted = lanes.price_usd(pair) if field.name == "price" else lanes.decode(pair, field.name)
            assert decoded[field.name] == pytest.approx(wanted, rel=1e-12, abs=1e-15)
        assert int(decoded["exact_price"]) == pair.market >> lanes.PRICE_SHIFT


def test_the_page_s_contract_compiles_with_the_package_s_sources_and_its_dependency(installed: Path) -> None:
    shipped = {
        f"@margrave/contracts/{path.relative_to(installed).as_posix()}": path.read_text(encoding="utf-8")
        for path in installed.rglob("*.sol")
    }
    solady = PROJECT / "node_modules" / "solady" / "src"
    dependency = {
        f"solady/{path.relative_to(solady).as_posix()}": path.read_text(encoding="utf-8")
        for path in solady.glob("utils/*.sol")
    }
    desk = solc({"Desk.sol": example("solidity"), "All.sol": ALL_SOL, **shipped, **dependency})["Desk.sol"]["Desk"][
        "abi"
    ]
    assert {x["name"] for x in desk if x["type"] == "function"} == {"haircutBp", "riskOracle"}


def solc(sources: dict[str, str]) -> dict[str, Any]:
    request = {
        "language": "Solidity",
        "sources": {unit: {"content": text} for unit, text in sources.items()},
        "settings": {"outputSelection": {"*": {"*": ["abi"]}}},
    }
    contracts: dict[str, Any] = solcx.compile_standard(request, solc_binary=PROJECT / "scripts" / "solc")["contracts"]
    return contracts


def test_two_structs_of_one_name_are_refused() -> None:
    def view(component: str) -> dict[str, Any]:
        inner = {"name": "x", "type": component, "internalType": component}
        given = {"name": "", "type": "tuple", "internalType": "struct S", "components": [inner]}
        return {"type": "function", "name": "f", "stateMutability": "view", "inputs": [], "outputs": [given]}

    calls_source({"A": [view("uint8")], "B": [view("uint8")]})
    with pytest.raises(Fatal, match="two structs are called S"):
        calls_source({"A": [view("uint8")], "B": [view("uint256")]})
