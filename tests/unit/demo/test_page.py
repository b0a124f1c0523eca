"""The page as a browser would read it: every number is there, every name is text, nothing is fetched."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest

from margrave.lab.demo import page, story
from margrave.lab.demo.record import Summary
from margrave.lab.demo.series import columns

from . import sample

VOID = {"meta", "link", "br", "hr", "img", "input", "path"}
FETCHING = {"src", "href", "srcset", "data", "action", "poster", "xlink:href", "formaction"}


class Reader(HTMLParser):
    """Collects text, tags and attributes; fails on tags that are closed in the wrong order."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in {"script", "style"}:
            self.texts.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.texts))


def read(summary: Summary) -> Reader:
    reader = Reader()
    reader.feed(page.render(summary))
    reader.close()
    assert reader.open == []
    return reader


def test_every_key_figure_stands_on_the_page(summary: Summary) -> None:
    text = read(summary).text
    for figure in story.key_figures(summary, columns(summary)):
        assert figure.label in text
        assert figure.value in text
        assert figure.note in text


def test_every_round_stands_in_the_table_with_its_gas_and_prices(summary: Summary) -> None:
    text = read(summary).text
    for row in summary.rounds:
        assert str(row.round) in text
        assert row.gas_used is None or f"{row.gas_used:,}" in text
        for state in row.markets.values():
            assert f"${state.price_usd:,.0f}" in text
            assert f"${state.requirement_usd:,.0f} / ${state.static_requirement_usd:,.0f}" in text


def test_what_is_real_and_what_is_generated_is_said_in_the_summarys_words(summary: Summary) -> None:
    text = read(summary).text
    for words in (summary.real, summary.generated, summary.source, summary.static_method):
        assert words in text


def test_positions_versions_and_addresses_can_be_checked(summary: Summary) -> None:
    reader = read(summary)
    titles = {attributes.get("title") for _, attributes in reader.tags}
    assert {summary.oracle, summary.model_set} <= titles
    for name, version in summary.versions.items():
        assert f"{name} {version}" in reader.text
    assert reader.text.count("20 Feb 2026") == len(summary.portfolio)


def test_nothing_is_requested_from_anywhere(summary: Summary) -> None:
    reader = read(summary)
    for tag, attributes in reader.tags:
        assert tag not in {"iframe", "object", "embed", "base", "form"}
        for name in FETCHING & attributes.keys():
            assert (attributes[name] or "").startswith(("data:", "#")), (tag, name)
    text = page.render(summary)
    assert not re.search(r"https?://|@import|url\(|fetch\(|XMLHttpRequest|import\(", text)
    assert "default-src 'none'" in text


HOSTILE = "<script>alert(1)</script>\"'|&"


def test_names_from_outside_are_text_and_never_markup() -> None:
    run = sample.run(rounds=12, markets=(HOSTILE, "ETH"))
    rows = tuple(msgspec.structs.replace(row, notes=(HOSTILE,), publisher=HOSTILE) for row in run.rounds)
    reader = read(sample.with_fields(run, title=HOSTILE, source=HOSTILE, rounds=rows, versions={HOSTILE: HOSTILE}))
    assert [tag for tag, _ in reader.tags].count("script") == 1
    assert HOSTILE in reader.text


@pytest.mark.parametrize(("rounds", "words"), [(1, "the only round"), (2, "all 2 rounds"), (7, "all 7 rounds")])
def test_a_short_run_gives_a_whole_page(rounds: int, words: str) -> None:
    text = read(sample.run(rounds=rounds, silent_rounds=())).text
    assert f"published {words}" in text
    assert "nan" not in text.lower().split()


def test_a_run_that_published_nothing_gives_a_page_that_says_so(summary: Summary) -> None:
    empty = tuple(
        msgspec.structs.replace(row, markets={}, published=False, publisher=None, signers=(), gas_used=None)
        for row in summary.rounds
    )
    silent = sample.with_fields(
        summary,
        rounds=empty,
        rounds_published=0,
        realised=(),
        breaches=(),
        requirement_by_round={},
        gas_by_round={str(row.round): None for row in empty},
    )
    text = read(silent).text
    assert "None of 60 rounds was published" in text
    assert text.count("Never on chain in this run.") == 2


def test_a_run_without_rounds_gives_a_page_without_charts(summary: Summary) -> None:
    nothing = sample.with_fields(
        summary, rounds=(), realised=(), breaches=(), requirement_by_round={}, gas_by_round={}, rounds_attempted=0
    )
    reader = read(nothing)
    assert "No round was attempted" in reader.text
    assert "svg" not in [tag for tag, _ in reader.tags]


def test_refusals_have_a_column_only_where_there_were_some(summary: Summary) -> None:
    assert "Refused" in read(summary).text
    clean = tuple(msgspec.structs.replace(row, refusals=0) for row in summary.rounds)
    assert "Refused" not in read(sample.with_fields(summary, rounds=clean)).text


def test_a_market_that_arrives_late_has_dashes_before(summary: Summary) -> None:
    reader = read(sample.run(first_round_with=(("ETH", 20),)))
    late = [a["data-values"] or "" for _, a in reader.tags if "data-values" in a and "–" in (a["data-values"] or "")]
    assert any(values.split("|")[:20] == ["–"] * 20 and "$" in values for values in late)


def test_pointing_finds_one_text_a_round_in_every_readout(summary: Summary) -> None:
    reader = read(summary)
    main = next(attributes for tag, attributes in reader.tags if tag == "main")
    lengths = {len((a["data-values"] or "").split("|")) for _, a in reader.tags if "data-values" in a}
    assert lengths == {60}
    assert len((main["data-x"] or "").split("|")) == len((main["data-when"] or "").split("|")) == 60


@pytest.mark.parametrize(("rounds", "limit_kb"), [(100, 400), (500, 1_500)])
def test_a_long_run_stays_a_light_page(rounds: int, limit_kb: int) -> None:
    assert len(page.render(sample.run(rounds=rounds)).encode()) < limit_kb * 1_000


def test_the_file_lands_in_a_folder_that_is_made_for_it(tmp_path: Path, summary: Summary) -> None:
    path = page.write(summary, tmp_path / "new" / "folder")
    assert path == tmp_path / "new" / "folder" / "index.html"
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("drill", "scripts/demo --rounds 60 --speed 600 --out OUT"),
        ("recording", "scripts/demo --recording DIR --rounds 60 --speed 600 --out OUT"),
        ("live", "scripts/demo --live --rounds 60 --speed 600 --out OUT"),
    ],
)
def test_the_command_that_repeats_the_run_is_named(summary: Summary, kind: str, expected: str) -> None:
    assert page.command(sample.with_fields(summary, input=kind)) == expected
