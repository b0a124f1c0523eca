from __future__ import annotations

import pytest
import typer
from typer.testing import CliRunner

from margrave.lab.feed.__main__ import main


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ((), "one input is needed"),
        (("--scenario", "a.toml", "--recording", "b"), "one input is needed"),
        (("--recording", "nowhere"), "a recording needs its period"),
        (("--recording", "nowhere", "--from", "2026-02-04", "--to", "2026-02-07"), "candles.parquet"),
        (("--recording", "nowhere", "--from", "2026-02-07", "--to", "2026-02-04"), "period is empty"),
        (("--recording", ".", "--from", "4 Feb", "--to", "2026-02-07"), "is not a date"),
        (("--scenario", "nowhere.toml"), "nowhere.toml"),
    ],
)
def test_a_wrong_command_line_is_one_clear_line_and_a_failure(arguments: tuple[str, ...], line: str) -> None:
    app = typer.Typer()
    app.command()(main)
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert line in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
