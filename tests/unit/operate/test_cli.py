"""Every bad input: one clear line on stderr, an exit code that is not zero, nothing half-written."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from margrave.operate.init import Plan, init
from margrave.settings import POLICY_FILE, REGISTRY, load_policy
from tests.unit.terminal import Run


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli") / "ada"
    init(folder, Plan(name="ada"))
    return folder


@pytest.fixture
def node(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "ada"))


@pytest.fixture
def foreign_chain() -> Iterator[str]:
    class Foreign(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            body = json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": "0x1"}).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Foreign) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def edit(node: Path, old: str, new: str) -> None:
    text = (node / "node.toml").read_text()
    assert old in text
    (node / "node.toml").write_text(text.replace(old, new))


def one_line(told: tuple[int, str, str], *words: str) -> None:
    code, out, err = told
    assert code == 2
    assert out == ""
    assert err.startswith("margrave: ")
    assert err.count("\n") == 1
    for word in words:
        assert word in err


def test_a_configuration_that_is_not_there(run: Run, tmp_path: Path) -> None:
    one_line(run("run", "-c", tmp_path / "node.toml"), "No such file", "margrave init")


def test_an_unknown_key(run: Run, node: Path) -> None:
    edit(node, "rpc =", "rcp =")
    one_line(run("run", "-c", node / "node.toml"), "unknown key chain.rcp")


def test_a_missing_key(run: Run, node: Path) -> None:
    (node / "keystore.json").unlink()
    one_line(run("run", "-c", node / "node.toml"), "keystore")


def test_a_wrong_chain(run: Run, node: Path, foreign_chain: str) -> None:
    edit(node, "http://127.0.0.1:8545", foreign_chain)
    one_line(run("once", "-c", node / "node.toml"), "is chain 1, the configuration says 31337")


def test_no_chain(run: Run, node: Path) -> None:
    edit(node, "http://127.0.0.1:8545", "http://127.0.0.1:9")
    one_line(run("once", "-c", node / "node.toml"), "no RPC endpoint answers")


@pytest.mark.parametrize("file", ["model.onnx", "reference.npz"])
def test_a_corrupt_model(run: Run, node: Path, tmp_path: Path, file: str) -> None:
    registry = Path(shutil.copytree(REGISTRY, tmp_path / "registry"))
    family = load_policy(POLICY_FILE).models.main
    body = bytearray((registry / family / file).read_bytes())
    body[len(body) // 2] ^= 1
    (registry / family / file).write_bytes(body)
    edit(node, 'log_format = "text"', f'log_format = "text"\nregistry_dir = "{registry}"')
    one_line(run("run", "-c", node / "node.toml"), family, "SHA-256")


def test_a_second_node_on_one_folder(run: Run, node: Path) -> None:
    from margrave.daemon import _alone

    with _alone(node / "state"):
        one_line(run("run", "-c", node / "node.toml"), "another node runs")


def test_a_replay_without_a_journal(run: Run, node: Path) -> None:
    one_line(run("replay", "-c", node / "node.toml"), "no journal")


def test_a_folder_that_is_taken(run: Run, node: Path) -> None:
    one_line(run("init", node), "not empty")


def test_a_venue_that_does_not_exist(run: Run, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{}")
    one_line(run("parse", "ftx", tmp_path / "x.json"), "ftx", "deribit")


@pytest.mark.parametrize("body", [b"", b"{", b"null", b'{"jsonrpc": "2.0", "result": []}', b"\xff\xfe"])
def test_an_empty_or_malformed_payload_is_a_refusal_with_its_reason(run: Run, tmp_path: Path, body: bytes) -> None:
    (tmp_path / "x.json").write_bytes(body)
    code, out, err = run("parse", "deribit", tmp_path / "x.json", "--json")
    assert code == 1
    assert err == ""
    rows = [json.loads(line) for line in out.splitlines()]
    assert rows
    assert all(row["type"] == "refusal" and row["reason"] and row["detail"] for row in rows)


def test_check_says_what_is_wrong_line_by_line_and_that_the_node_is_not_ready(run: Run, node: Path) -> None:
    edit(node, "http://127.0.0.1:8545", "http://127.0.0.1:9")
    text = (node / "node.toml").read_text()
    (node / "node.toml").write_text(text[: text.index("[venues")] + "[venues]\n")
    code, out, _ = run("check", "-c", node / "node.toml", "--json")
    told = json.loads(out)
    assert code == 1
    assert not told["ready"]
    by_check = {row["check"]: row for row in told["findings"]}
    assert by_check["key"]["verdict"] == "ok"
    assert by_check["models"]["verdict"] == "ok"
    assert by_check["chain"]["verdict"] == "fail"
    assert by_check["market BTC"]["verdict"] == "fail"
    assert all(row["advice"] for row in told["findings"] if row["verdict"] != "ok")


def test_check_of_a_broken_configuration_is_one_finding(run: Run, tmp_path: Path) -> None:
    code, out, _ = run("check", "-c", tmp_path / "node.toml", "--json")
    assert code == 1
    assert [row["check"] for row in json.loads(out)["findings"]] == ["configuration"]


def test_the_version_is_printed(run: Run) -> None:
    code, out, _ = run("--version")
    assert code == 0
    assert out.startswith("margrave ")
