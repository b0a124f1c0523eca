"""What is written is read back; what a dying machine leaves is cut where it is whole; what was changed is refused."""

from __future__ import annotations

import asyncio
import gzip
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from margrave.collect.recording import tape
from margrave.collect.recording.feed import Recording, question
from margrave.collect.recording.line import Line, What, decode, encode, said
from margrave.collect.recording.recorder import Recorder
from margrave.errors import Fatal, Rejected

T0 = 1_700_000_000_000


class FixedClock:
    def __init__(self, at_ms: int = T0) -> None:
        self.at_ms = at_ms

    def now_ms(self) -> int:
        return self.at_ms

    def wall_s(self, clock_seconds: float) -> float:
        return clock_seconds


def answer(seen_ms: int, body: str = "{}", url: str = "https://venue.test/api/book?symbol=BTC") -> Line:
    return Line(seen_ms=seen_ms, what=What.ANSWER, source="venue", url=url, status=200, text=body)


def frame(seen_ms: int, body: str) -> Line:
    return Line(seen_ms=seen_ms, what=What.FRAME, source="venue", url="wss://venue.test/ws", text=body)


async def record(folder: Path, lines: list[Line], **limits: int) -> Recorder:
    clock = FixedClock()
    async with Recorder(folder, clock=clock, header='{"venues":{}}', **limits) as recorder:
        for line in lines:
            clock.at_ms = line.seen_ms
            recorder.keep(line)
    return recorder


def content(folder: Path) -> list[Line]:
    return [line for line in tape.read(folder) if line.what is not What.HEADER]


@given(
    st.builds(
        Line,
        seen_ms=st.integers(0, 2**53),
        what=st.sampled_from(What),
        source=st.text(max_size=8),
        url=st.text(max_size=30),
        status=st.integers(0, 599),
        text=st.text(max_size=60),
        raw=st.binary(max_size=60),
        missing=st.integers(0, 10**6),
    )
)
def test_a_line_survives_writing_and_reading(line: Line) -> None:
    assert decode(encode(line).rstrip(b"\n")) == line


@given(st.binary(max_size=200))
def test_any_bytes_are_recorded_as_they_were(body: bytes) -> None:
    line = said(1, What.FRAME, "venue", "wss://venue.test/ws", body)
    assert decode(encode(line).rstrip(b"\n")).body == body


async def test_a_recording_is_what_was_heard_in_its_order(tmp_path: Path) -> None:
    heard = [answer(T0 + i, f'{{"i":{i}}}') for i in range(1_000)]
    recorder = await record(tmp_path, heard)
    assert content(tmp_path) == heard
    assert (recorder.lines, recorder.dropped) == (1_000, 0)


def test_a_recording_can_be_checked_and_read_with_common_tools(tmp_path: Path) -> None:
    asyncio.run(record(tmp_path, [answer(T0)]))
    checked = subprocess.run(["sha256sum", "-c", tape.SUMS], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    (file,) = tape.files(tmp_path)
    assert b'"what":"answer"' in gzip.decompress(file.read_bytes())


async def test_files_rotate_by_size_and_each_is_sealed(tmp_path: Path) -> None:
    clock = FixedClock()
    heard = []
    for part in range(3):
        async with Recorder(tmp_path, clock=clock, file_bytes=10) as recorder:
            heard.append(answer(clock.at_ms, str(part)))
            recorder.keep(heard[-1])
        clock.at_ms += 1
    assert len(tape.files(tmp_path)) == len(tape.sums(tmp_path)) == 3
    assert content(tmp_path) == heard


async def test_the_oldest_files_go_when_the_disk_is_not_theirs(tmp_path: Path) -> None:
    clock = FixedClock()
    for _ in range(5):
        async with Recorder(tmp_path, clock=clock, keep_bytes=1) as recorder:
            recorder.keep(answer(clock.at_ms))
        clock.at_ms += 1
    (last,) = tape.files(tmp_path)
    assert list(tape.sums(tmp_path)) == [last.name]
    assert content(tmp_path) == [answer(T0 + 4)]


async def test_a_killed_recorder_loses_only_the_member_under_way(tmp_path: Path) -> None:
    whole = gzip.compress(encode(answer(T0, "kept")))
    torn = gzip.compress(encode(answer(T0 + 1, "lost")))[:-9]
    left = tmp_path / ("20231114T221320.000Z" + tape.OPEN)
    left.write_bytes(whole + torn)
    assert [line.text for line in tape.read(tmp_path)] == ["kept"]
    await record(tmp_path, [answer(T0 + 60_000, "after")])
    assert [line.text for line in content(tmp_path)] == ["kept", "after"]
    assert not tape.verify(tmp_path)
    assert len(tape.sums(tmp_path)) == 2


async def test_a_changed_file_is_refused_by_name(tmp_path: Path) -> None:
    await record(tmp_path, [answer(T0)])
    (file,) = tape.files(tmp_path)
    file.write_bytes(gzip.compress(encode(answer(T0, '{"price":"forged"}'))))
    with pytest.raises(Fatal, match=file.name):
        list(tape.read(tmp_path))


async def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    await record(tmp_path, [answer(T0)])
    (file,) = tape.files(tmp_path)
    file.unlink()
    with pytest.raises(Fatal, match=file.name):
        Recording(tmp_path)


async def test_what_the_disk_is_too_slow_for_is_counted_in_the_recording(tmp_path: Path) -> None:
    recorder = await record(tmp_path, [answer(T0 + i, "x" * 1_000) for i in range(20)], queue_bytes=5_000)
    told = content(tmp_path)
    assert recorder.dropped > 0
    assert sum(line.missing for line in told if line.what is What.GAP) == recorder.dropped
    assert sum(line.what is What.ANSWER for line in told) == 20 - recorder.dropped


def test_a_line_that_is_not_ours_is_refused() -> None:
    for row in (b"{}", b"[]", b"\xff", b'{"seen_ms":"1","what":"answer"}', b'{"seen_ms":1,"what":"boast"}'):
        with pytest.raises(Rejected):
            decode(row)


async def test_the_answer_is_the_last_one_before_the_moment(tmp_path: Path) -> None:
    await record(tmp_path, [answer(T0 + 1_000 * i, str(i)) for i in range(10)])
    recording = Recording(tmp_path)

    def said_at(ms: int) -> str:
        line = recording.answer("venue", "https://venue.test/api/book?symbol=BTC", "", ms)
        assert line is not None
        return line.text

    assert [said_at(T0 - 5), said_at(T0 + 4_500), said_at(T0 + 99_000)] == ["0", "4", "9"]
    assert recording.answer("venue", "https://venue.test/api/book?symbol=ETH", "", T0) is None


def test_questions_that_differ_only_in_times_are_one_question() -> None:
    one = question("v", "https://h/candles?symbol=BTC&startTime=1700000000000&limit=500", "")
    later = question("v", "https://h/candles?startTime=1700000360000&limit=500&symbol=BTC", "")
    other = question("v", "https://h/candles?symbol=BTC&startTime=1700000000000&limit=100", "")
    assert one == later
    assert one != other


def test_posted_questions_are_told_apart_by_their_body_but_for_times() -> None:
    def asked(body: str) -> object:
        return question("v", "https://h/info", body)

    since = '{"type":"candles","req":{"coin":"BTC","startTime":1700000000000}}'
    later = '{"req":{"startTime":1700000360000,"coin":"BTC"},"type":"candles"}'
    assert asked(since) == asked(later)
    assert asked(since) != asked('{"type":"candles","req":{"coin":"BTC"}}')
    assert asked(since) != asked(since.replace("BTC", "ETH"))


async def test_a_session_is_heard_from_its_first_frame(tmp_path: Path) -> None:
    def opened(ms: int) -> Line:
        return Line(seen_ms=ms, what=What.OPENED, source="venue", url="wss://venue.test/ws")

    first = [opened(T0), frame(T0 + 10, "a"), frame(T0 + 20, "b")]
    second = [opened(T0 + 1_000), frame(T0 + 1_010, "c"), frame(T0 + 1_020, "d")]
    await record(tmp_path, [*first, *second])
    recording = Recording(tmp_path)

    def frames_at(ms: int) -> list[str] | None:
        session = recording.session("venue", "wss://venue.test/ws", ms)
        return None if session is None else [line.text for line in session if line.what is What.FRAME]

    assert frames_at(T0 + 15) == ["a", "b"]
    assert frames_at(T0 + 500) == ["c", "d"]
    assert frames_at(T0 + 9_000) is None


async def test_pages_of_a_history_are_told_apart_by_how_far_back_they_reach(tmp_path: Path) -> None:
    hour_ms = 3_600_000

    def page(now_ms: int, hours: int) -> str:
        return f"https://venue.test/candles?after={now_ms - hours * hour_ms}"

    lines = [answer(T0 + d, f"{h} h at {d}", page(T0 + d, h)) for d in (0, hour_ms) for h in (300, 600)]
    await record(tmp_path, lines)
    recording, now_ms = Recording(tmp_path), T0 + 2 * hour_ms
    for hours in (300, 600):
        told = recording.answer("venue", page(now_ms, hours), "", now_ms)
        assert told is not None
        assert told.text == f"{hours} h at {hour_ms}"
