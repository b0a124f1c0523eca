"""What the benchmark of books compares holds the same book, whoever is faster."""

from __future__ import annotations

from itertools import islice

import pytest

from margrave.collect.books.ladder import Side
from margrave.errors import Fatal
from margrave.lab.bench import books
from tests.history import needs_data, recorded
from tests.unit.collect import l2


@needs_data
@pytest.mark.data
def test_the_ladders_that_are_compared_agree_after_every_message() -> None:
    name = "spot_ethusdt_20240808.gz"
    ladders = [(kind(bids=True), kind(bids=False)) for kind in (Side, books._Sorted, books._Anew)]
    diffs = (l2.diff(m) for m in l2.messages(name) if "U" in m)
    for diff in islice(diffs, 1_000):
        seen = set()
        for bids, asks in ladders:
            bids.apply(diff.bids)
            asks.apply(diff.asks)
            seen.add((bids.best, asks.best))
        assert len(seen) == 1


@needs_data
@pytest.mark.data
@pytest.mark.parametrize("file", sorted(books.RECORDINGS))
def test_what_is_timed_is_the_whole_recording_from_its_snapshot_on(file: str) -> None:
    recording = books._load(recorded(l2.FOLDER, file))
    frames = [frame for _, frame in l2.frames(file) if not frame.startswith(b'{"lastUpdateId"')]
    assert [*recording.before, *recording.frames] == frames
    assert recording.snapshot.startswith(b'{"lastUpdateId"')
    kept, took_s = books._listen(recording, recording.frames[:2_000])
    assert (kept.whole, took_s > 0) == (True, True)


def test_without_the_recordings_the_benchmark_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MARGRAVE_DATA", raising=False)
    with pytest.raises(Fatal, match="set MARGRAVE_DATA"):
        books.run(lambda _: None)
