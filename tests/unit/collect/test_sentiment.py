"""Moods: read when they are sound, masked when they are not, and never more than they are."""

from __future__ import annotations

import contextlib
import math
from pathlib import Path

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from margrave.collect.board import Board
from margrave.collect.sentiment import fear_greed, headlines, positioning, tone
from margrave.collect.sentiment.lexicon import INTENSIFIERS, NEGATIONS, WEIGHTS
from margrave.collect.sentiment.tone import Headline
from margrave.collect.sentiment.watcher import SentimentWatcher
from margrave.collect.source import Asked
from margrave.errors import Rejected
from margrave.messages import EVERY_MARKET, Kind, Refusal, ScalarReading
from margrave.ops.clock import Clock
from margrave.settings import SentimentSettings
from margrave.verdicts import Rejection

NOW_MS = 1_772_000_000_000
ASKED = Asked(fear_greed.SOURCE, EVERY_MARKET, "", NOW_MS)


def day(value: object, seconds: object = "1771977600") -> dict[str, object]:
    return {"value": value, "value_classification": "Extreme Fear", "timestamp": seconds, "time_until_update": "1"}


def test_the_newest_day_of_the_index_is_read_whatever_the_order() -> None:
    body = {"data": [day("11", "1771891200"), day("25"), day("30", 1771804800)], "metadata": {"error": None}}
    (reading,) = fear_greed.parse(ASKED, body)
    assert isinstance(reading, ScalarReading)
    assert (reading.kind, reading.value, reading.venue_time_ms) == (Kind.FEAR_GREED, 25.0, 1_771_977_600_000)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"data": [day("101")]}, Rejection.OUT_OF_RANGE),
        ({"data": [day("-1")]}, Rejection.OUT_OF_RANGE),
        ({"data": [day("NaN")]}, Rejection.NOT_FINITE),
        ({"data": [day("25", 1771977600000)]}, Rejection.OUT_OF_RANGE),
        ({"data": []}, Rejection.EMPTY),
        ({"data": None}, Rejection.MALFORMED),
        ({"data": [day("25")], "metadata": {"error": "rate limited"}}, Rejection.VENUE_ERROR),
        ([], Rejection.MALFORMED),
    ],
)
def test_a_broken_index_is_refused_with_its_reason(body: object, reason: Rejection) -> None:
    with pytest.raises(Rejected) as refused:
        list(fear_greed.parse(ASKED, body))
    assert refused.value.reason is reason


# --- headlines --------------------------------------------------------------------------------------------------------

RSS = b"""<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0" xmlns:media="http://search.yahoo.com/mrss/"><channel><title>An outlet</title>
<item><title><![CDATA[Exchange hacked, funds &amp; keys stolen]]></title>
<pubDate>Wed, 25 Feb 2026 06:00:00 GMT</pubDate>
<media:content><media:title>a picture</media:title></media:content></item>
<item><title>Bitcoin  surges
 to new highs</title><pubDate>Wed, 25 Feb 2026 05:00:00 +0000</pubDate></item>
<item><title>Without a date</title></item>
<item><title>With a bad one</title><pubDate>yesterday</pubDate></item>
</channel></rss>"""
ATOM = b"""<feed xmlns="http://www.w3.org/2005/Atom"><title>Another</title>
<entry><title type="html">ETF approved</title><updated>2026-02-25T04:00:00Z</updated></entry></feed>"""


def test_rss_and_atom_become_headlines() -> None:
    rss, atom = headlines.parse("a", RSS), headlines.parse("b", ATOM)
    assert [h.title for h in rss] == ["Exchange hacked, funds &amp; keys stolen", "Bitcoin surges to new highs"]
    assert [h.published_ms for h in rss] == [1_771_999_200_000, 1_771_995_600_000]
    assert [(h.outlet, h.title, h.published_ms) for h in atom] == [("b", "ETF approved", 1_771_992_000_000)]


BOMB = b"""<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;">]>
<rss><channel><item><title>&lol2;</title><pubDate>Wed, 25 Feb 2026 06:00:00 GMT</pubDate></item></channel></rss>"""


@pytest.mark.parametrize(
    "payload",
    [
        BOMB,
        BOMB.decode().replace('<?xml version="1.0"?>', "").encode("utf-16"),
        b"<rss>" * 40,
        b"",
        b"{}",
        b"<rss><channel></channel></rss>",
        RSS[:-30],
        b"\x1f\x8b\x08\x00garbage",
    ],
)
def test_a_feed_that_is_none_or_an_attack_is_refused(payload: bytes) -> None:
    with pytest.raises(Rejected):
        headlines.parse("a", payload)


@given(st.binary(max_size=300))
def test_no_bytes_break_the_feed_reader(payload: bytes) -> None:
    with contextlib.suppress(Rejected):
        assert all(h.title for h in headlines.parse("a", payload))


@pytest.mark.parametrize(
    ("worse", "better"),
    [
        ("Exchange hacked, $600M stolen", "Exchange opens an office"),
        ("Bitcoin plunges as liquidations mount", "Bitcoin dips"),
        ("Regulator bans trading", "Regulator approves ETF"),
        ("Token crashes", "Token did not crash"),
        ("Bitcoin slightly gains", "Bitcoin gains"),
        ("Lender halts withdrawals", "Lender resumes withdrawals"),
        ("Massive selloff", "Minor selloff"),
    ],
)
def test_worse_news_has_the_lower_tone(worse: str, better: str) -> None:
    assert tone.of_headline(worse) < tone.of_headline(better)


@pytest.mark.parametrize("title", ["", "Foundation publishes its yearly report", "12345 !!!", "Суд отложил дело"])
def test_a_headline_without_known_words_has_no_tone(title: str) -> None:
    assert tone.of_headline(title) == 0.0


@pytest.mark.parametrize("word", ["winter", "window", "find", "listen", "moonpay", "suez", "diplomat", "rugged", "los"])
def test_a_stem_does_not_catch_words_that_only_begin_like_it(word: str) -> None:
    assert tone.weight_of(word) == 0.0


@given(st.text(max_size=200))
def test_a_tone_is_bounded_whatever_the_title(title: str) -> None:
    assert -1.0 <= tone.of_headline(title) <= 1.0


def test_the_lexicon_keeps_its_own_rules() -> None:
    assert all(0 < abs(weight) <= 3 and math.isfinite(weight) for weight in WEIGHTS.values())
    assert not (NEGATIONS | INTENSIFIERS.keys()) & {word for word in WEIGHTS if not word.endswith("*")}
    assert all(entry == entry.lower() for entry in WEIGHTS)


def at(hours_ago: float, title: str, outlet: str = "a") -> Headline:
    return Headline(outlet, NOW_MS - round(hours_ago * 3_600_000), title)


def test_an_outlet_that_writes_more_is_still_one_voice() -> None:
    loud = [at(i / 10, f"Bitcoin crashes, part {i}", "loud") for i in range(50)]
    told = tone.of_day([*loud, at(1, "Bitcoin surges", "calm")], NOW_MS)
    assert told == pytest.approx((tone.of_headline("Bitcoin crashes") + tone.of_headline("Bitcoin surges")) / 2)


def test_a_story_told_again_is_not_a_second_one() -> None:
    base = [at(i, f"Quiet day {'x' * i}") for i in range(5)]
    once = tone.of_day([*base, at(1, "Bitcoin crashes")], NOW_MS)
    again = tone.of_day([*base, at(1, "Bitcoin crashes"), at(0.5, "BITCOIN CRASHES!")], NOW_MS)
    assert once == again


def test_too_few_headlines_and_old_ones_have_no_tone() -> None:
    assert tone.of_day([at(i, f"Bitcoin crashes {'again ' * i}") for i in range(4)], NOW_MS) is None
    assert tone.of_day([at(25 + i, f"Bitcoin crashes {'again ' * i}") for i in range(9)], NOW_MS) is None
    assert tone.of_day([at(-1 - i, f"Bitcoin crashes {'again ' * i}") for i in range(9)], NOW_MS) is None


# --- positioning ------------------------------------------------------------------------------------------------------


def test_funding_is_measured_against_its_own_past() -> None:
    usual = [1e-4, 0.5e-4] * 20
    crowded, flat = positioning.distance([*usual, 5e-4]), positioning.distance([*usual, 0.75e-4])
    assert crowded == positioning.LIMIT
    assert flat == pytest.approx(0.0, abs=1e-9)


def test_a_rate_at_its_default_for_a_month_does_not_make_a_basis_point_a_wonder() -> None:
    assert positioning.distance([1e-4] * 90 + [1.2e-4]) == pytest.approx(2.0)


def test_too_short_a_past_is_masked() -> None:
    assert positioning.distance([1e-4] * positioning.LEAST_RATES) is None
    assert positioning.positioning([[1e-4] * 5, []]) is None


def test_one_venues_odd_rate_is_that_venues() -> None:
    usual = [[1e-4, 0.5e-4] * 20 + [0.75e-4] for _ in range(4)]
    assert positioning.positioning([*usual, [*usual[0][:-1], 0.01]]) == pytest.approx(0.0, abs=1e-9)


def funding(source: str, at_ms: int, rate: float) -> ScalarReading:
    return ScalarReading(
        source=source,
        market="BTC",
        instrument="x",
        venue_time_ms=at_ms,
        seen_time_ms=at_ms,
        kind=Kind.FUNDING_8H,
        value=rate,
    )


def test_the_past_holds_one_rate_a_settlement_for_thirty_days() -> None:
    past = positioning.Past()
    for hour in range(0, 60 * 24, 4):
        at_ms = NOW_MS + hour * 3_600_000
        past = past.seen([funding("okx", at_ms, 1e-4)], at_ms)
    rates = past.rates["okx"]["BTC"]
    assert 90 <= len(rates) <= 91


# --- the watcher ------------------------------------------------------------------------------------------------------


def watcher(folder: Path, answer: httpx2.MockTransport, **settings: object) -> SentimentWatcher:
    clock = Clock(origin_ms=1_772_002_800_000, wall_origin_ms=0, speed=1e-12)
    return SentimentWatcher(
        settings=SentimentSettings.model_validate(settings),
        markets=("BTC",),
        board=Board(),
        clock=clock,
        past_file=folder / "funding.json",
        transport=answer,
    )


async def test_what_is_not_configured_is_not_asked(tmp_path: Path) -> None:
    def answer(_: httpx2.Request) -> httpx2.Response:
        raise AssertionError("asked")

    asking = watcher(tmp_path, httpx2.MockTransport(answer))
    await asking.poll()
    assert (asking.board.readings(), asking.board.refusals()) == ((), ())


async def test_one_source_that_fails_leaves_the_others(tmp_path: Path) -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.host == "fng.test":
            return httpx2.Response(429, headers={"retry-after": "60"})
        titles = "".join(
            f"<item><title>Bitcoin crashes {'on' * i}</title><pubDate>Wed, 25 Feb 2026 06:0{i}:00 GMT</pubDate></item>"
            for i in range(6)
        )
        return httpx2.Response(200, content=f"<rss><channel>{titles}</channel></rss>".encode())

    asking = watcher(
        tmp_path, httpx2.MockTransport(answer), fear_greed_url="https://fng.test/fng/", news={"a": "https://a.test/rss"}
    )
    await asking.poll()
    (reading,) = asking.board.readings()
    assert isinstance(reading, ScalarReading)
    assert (reading.kind, reading.market) == (Kind.NEWS_TONE, EVERY_MARKET)
    assert reading.value < -0.5
    assert asking.board.health_of(fear_greed.SOURCE).failures == 1
    await asking.close()


async def test_a_broken_feed_is_a_refusal_and_masks_the_tone(tmp_path: Path) -> None:
    asking = watcher(
        tmp_path, httpx2.MockTransport(lambda _: httpx2.Response(200, content=BOMB)), news={"a": "https://a.test/rss"}
    )
    await asking.poll()
    assert asking.board.readings() == ()
    refused = asking.board.refusals()
    assert all(isinstance(r, Refusal) for r in refused)
    assert {r.reason for r in refused} == {Rejection.MALFORMED, Rejection.EMPTY}
    await asking.close()


async def test_the_funding_seen_outlives_a_restart(tmp_path: Path) -> None:
    silent = httpx2.MockTransport(lambda _: httpx2.Response(500))
    first = watcher(tmp_path, silent)
    now_ms = first.clock.now_ms()
    for settlement in range(40, 0, -1):
        first.board.put(funding("okx", now_ms - settlement * positioning.SETTLEMENT_MS, 1e-4))
        await first.poll()
    second = watcher(tmp_path, silent)
    second.board.put(funding("okx", now_ms, 9e-4))
    await second.poll()
    found = {r.kind: r.value for r in second.board.readings() if isinstance(r, ScalarReading)}
    assert found[Kind.FUNDING_POSITIONING] == positioning.LIMIT


async def test_an_unreadable_past_begins_anew(tmp_path: Path) -> None:
    (tmp_path / "funding.json").write_bytes(b'{"rates": {"okx"')
    asking = watcher(tmp_path, httpx2.MockTransport(lambda _: httpx2.Response(500)))
    asking.board.put(funding("okx", asking.clock.now_ms(), 1e-4))
    await asking.poll()
    assert b"okx" in (tmp_path / "funding.json").read_bytes()
