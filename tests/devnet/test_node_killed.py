"""A member dies without a word (kill -9) and comes back: rounds go on without it, and it joins them again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.devnet, pytest.mark.xdist_group("devnet")]

MARGRAVE = (sys.executable, "-m", "margrave")
ROUNDS = 9
PATIENCE_S = 240.0


def wait_for(happened: Callable[[], bool], what: str) -> None:
    give_up = time.monotonic() + PATIENCE_S
    while not happened():
        assert time.monotonic() < give_up, f"waited {PATIENCE_S:g} s for {what}"
        time.sleep(0.2)


def test_rounds_go_on_without_a_killed_member_and_it_joins_again(tmp_path: Path) -> None:
    out = tmp_path / "out"
    config = out / "run" / "ada" / "node.toml"
    log = out / "run" / "logs" / "ada.log"
    command = [*MARGRAVE, "demo", "--no-wait", "--rounds", str(ROUNDS), "--speed", "450", "--out", str(out)]
    with (tmp_path / "demo.log").open("w") as told, subprocess.Popen(command, stdout=told, stderr=told) as demo:

        def rounds_shown() -> int:
            return (tmp_path / "demo.log").read_text().count("round ") - 1  # less the opening round's line

        try:
            wait_for(lambda: rounds_shown() >= 2 or demo.poll() is not None, "the second round")
            assert demo.poll() is None, (tmp_path / "demo.log").read_text()
            os.kill(process_of(config), signal.SIGKILL)
            killed_after = rounds_shown()
            wait_for(lambda: rounds_shown() >= killed_after + 3 or demo.poll() is not None, "three rounds without it")
            with (tmp_path / "ada-again.log").open("w") as again:
                restarted = subprocess.Popen([*MARGRAVE, "run", "--config", str(config)], stdout=again, stderr=again)
            try:
                demo.wait(timeout=PATIENCE_S)
            finally:
                restarted.send_signal(signal.SIGTERM)
                assert restarted.wait(timeout=30) == 0, (tmp_path / "ada-again.log").read_text()
        finally:
            demo.terminate()
    assert "outcome=" in log.read_text()
    rows: list[dict[str, Any]] = json.loads((out / "summary.json").read_text())["rounds"]
    without = rows[killed_after + 1 : killed_after + 3]
    assert sum(row["published"] for row in without) == len(without), [row["notes"] for row in without]
    assert all("ada" not in row["signers"] for row in without)
    signed_again = [row["round"] for row in rows[killed_after + 3 :] if "ada" in scores_of(row)]
    assert signed_again, (tmp_path / "ada-again.log").read_text()


def scores_of(row: dict[str, Any]) -> set[str]:
    """Members whose own words the others verified, whether or not the quorum used them."""
    return {member for market in row["markets"].values() for member in market["member_scores"]}


def process_of(config: Path) -> int:
    found = subprocess.run(["pgrep", "-f", str(config)], capture_output=True, text=True, check=True).stdout.split()
    assert len(found) == 1
    return int(found[0])
