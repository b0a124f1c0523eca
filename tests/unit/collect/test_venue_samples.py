"""Every question and every channel of every venue: what it gives, and that neither a
field that nobody knows nor another way to write a number changes it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from margrave.collect.source import Asked, VenueTrouble
from margrave.collect.stream import Event, Heard
from margrave.collect.venues import VENUES
from margrave.errors import Rejected
from margrave.messages import Refusal
from margrave.spans import HOUR_MS
from tests.unit.collect.ask import NOW_MS
from tests.unit.collect.recordings import tally
from tests.unit.collect.samples import ANSWERS, FRAMES, SAMPLES
from tests.unit.collect.samples.sample import Sample

VENUES_HERE = tuple(VENUES)


def told(sample: Sample, body: object) -> tuple[Event, ...]:
    """What an answer or a frame amounts to."""
    venue = VENUES[sample.venue]
    if sample in FRAMES:
        stream = next(s for s in venue.streams if s.name == sample.name)
        contracts = {} if sample.contract is None else {sample.contract.instrument: sample.contract}
        return tuple(stream.parse(Heard(source=venue.name, seen_ms=NOW_MS, contracts=contracts), body))
    endpoint = next(e for e in venue.endpoints if e.name == sample.name)
    asked = Asked(
        venue.name,
        "BTC",
        sample.instrument,
        NOW_MS,
        sample.perpetual,
        HOUR_MS,
        mark_price=70_000.0,
        contract=sample.contract,
    )
    venue.complain(body)
    return tuple(endpoint.parse(asked, body))


Entry = dict[str, object]
OTHERS = (None, "", "A_NEW_WORD", [], {}, -1, 1e30, "NaN")


def mapped(body: object, leaf: Callable[[object], object], entry: Callable[[Entry], Entry]) -> object:
    if isinstance(body, dict):
        return entry({key: mapped(value, leaf, entry) for key, value in body.items()})
    if isinstance(body, list):
        return [mapped(value, leaf, entry) for value in body]
    return leaf(body)


def named(sample: Sample) -> str:
    return f"{sample.venue}-{sample.name}-{'-'.join(sample.gives)}"


def same(value: object) -> object:
    return value


def as_text(value: object) -> object:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


@pytest.mark.parametrize("sample", SAMPLES, ids=named)
def test_a_documented_answer_or_frame_gives_what_it_holds(sample: Sample) -> None:
    assert tally(told(sample, sample.body)) == sample.gives


@pytest.mark.parametrize("sample", SAMPLES, ids=named)
def test_fields_that_nobody_knows_change_nothing(sample: Sample) -> None:
    more = mapped(sample.body, same, lambda entry: entry | {"aNewField": {"deep": [None, 1, "x"]}, "zzz": None})
    if sample.name in ("AssetPairs", "Depth", "OHLC", "Trades", "Ticker"):
        more = sample.body | {"aNewField": 1}  # type: ignore[operator]  (a result's keys are names of pairs)
    assert told(sample, more) == told(sample, sample.body)


@pytest.mark.parametrize("sample", SAMPLES, ids=named)
def test_numbers_as_text_are_the_same_numbers(sample: Sample) -> None:
    assert told(sample, mapped(sample.body, as_text, same)) == told(sample, sample.body)  # type: ignore[arg-type]


@pytest.mark.parametrize("sample", SAMPLES, ids=named)
def test_text_as_numbers_is_the_same_except_where_a_checksum_is_over_it(sample: Sample) -> None:
    def as_number(value: object) -> object:
        if not isinstance(value, str) or not value.replace(".", "", 1).removeprefix("-").isdigit():
            return value
        return float(value) if "." in value else int(value)

    assert tally(told(sample, mapped(sample.body, as_number, same))) == sample.gives  # type: ignore[arg-type]


@pytest.mark.parametrize("sample", SAMPLES, ids=named)
def test_a_missing_or_empty_field_gives_less_or_a_named_refusal_and_never_an_error_of_ours(sample: Sample) -> None:
    for change in _changes(sample.body):
        try:
            events = told(sample, change)
        except (Rejected, VenueTrouble):
            continue
        for event in events:
            assert not isinstance(event, Refusal) or event.detail


def _changes(body: object) -> list[object]:
    """The body without each of its fields in turn, and with null, "" and an unknown word in its place."""
    changes: list[object] = []
    if isinstance(body, dict):
        for key, value in body.items():
            changes.append({k: v for k, v in body.items() if k != key})
            changes += [body | {key: other} for other in OTHERS]
            changes += [body | {key: changed} for changed in _changes(value)]
    elif isinstance(body, list):
        for i, value in enumerate(body):
            changes.append(body[:i] + body[i + 1 :])
            changes += [[*body[:i], other, *body[i + 1 :]] for other in OTHERS]
            changes += [[*body[:i], changed, *body[i + 1 :]] for changed in _changes(value)]
    return changes


def test_every_question_and_every_stream_has_a_sample() -> None:
    asked = {(sample.venue, sample.name) for sample in ANSWERS}
    there = {(name, endpoint.name) for name in VENUES_HERE for endpoint in VENUES[name].endpoints}
    same_answer = {("coinbase", "figures"), ("bybit", "symbols (before v5)")}
    assert there - asked == same_answer, "a perpetual's product, and what is read in recordings only"
    assert {(s.venue, s.name) for s in FRAMES} | {("bybit", "spot")} == {
        (name, stream.name) for name in VENUES_HERE for stream in VENUES[name].streams
    }
