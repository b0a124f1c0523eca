"""A node's folder as `margrave init` leaves it, and the verbs as somebody types them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from margrave import cli
from margrave.operate.init import Plan, init
from margrave.settings import Settings, load
from tests.unit.terminal import Run


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    init(tmp_path / "ada", Plan(name="ada"))
    return load(tmp_path / "ada" / "node.toml")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    logs = structlog.get_config()

    def command(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["margrave", *map(str, words)])
        with pytest.raises(SystemExit) as left:
            cli.main()
        told = capsys.readouterr()
        return int(left.value.code or 0), told.out, told.err

    yield command
    # a verb that ran a node has set its level, and later tests in this process hear no less than before
    structlog.configure(**logs)
    structlog.contextvars.clear_contextvars()
