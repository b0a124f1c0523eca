"""The tone of headlines: words weighed, negations turned, each outlet one voice.

A headline's sum goes through tanh, so that one with five bad words is not five times as bad; a day's tone is the mean
over outlets of each outlet's mean, so that one that writes more, or repeats a story, does not drown the others. This is
a lexicon, not understanding: irony is beyond it. No figure on chain rests on it alone.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from statistics import fmean
from typing import Final

from margrave.collect.sentiment.lexicon import INTENSIFIERS, NEGATED, NEGATIONS, REACH, WEIGHTS
from margrave.spans import DAY_MS

WORD: Final = re.compile(r"[a-z][a-z'-]*")
SCALE: Final = 3.0
"""One word of the heaviest weight is tanh(1) = 0.76."""
LEAST_HEADLINES: Final = 5
"""Fewer are not a day's tone."""


@dataclass(frozen=True, slots=True)
class Headline:
    outlet: str
    published_ms: int
    title: str


def of_headline(title: str) -> float:
    """In (-1, 1); 0 where no word is known."""
    return math.tanh(sum(_weights(_words(title))) / SCALE)


def _words(title: str) -> list[str]:
    return WORD.findall(title.lower().replace("\u2019", "'"))


def _weights(words: Sequence[str]) -> Iterable[float]:
    for position, word in enumerate(words):
        if (weight := weight_of(word)) == 0.0:
            continue
        before = words[max(position - REACH, 0) : position]
        for earlier in before:
            weight *= INTENSIFIERS.get(earlier, 1.0)
        yield weight * (NEGATED if NEGATIONS.intersection(before) else 1.0)


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], float], ...]:
    # Longer entries first: the special word before the stem that it begins with.
    ordered = sorted(WEIGHTS.items(), key=lambda entry: -len(entry[0]))
    return tuple((re.compile(entry.replace("*", "[a-z'-]*") + r"\Z"), weight) for entry, weight in ordered)


@cache
def weight_of(word: str) -> float:
    """What one lower-case word weighs."""
    return next((weight for pattern, weight in _patterns() if pattern.match(word)), 0.0)


def of_day(headlines: Iterable[Headline], now_ms: int) -> float | None:
    """The tone of the last 24 hours in [-1, 1]; `None` for fewer than `LEAST_HEADLINES` different ones."""
    by_outlet: dict[str, dict[str, float]] = {}
    for headline in headlines:
        if now_ms - DAY_MS < headline.published_ms <= now_ms:
            by_outlet.setdefault(headline.outlet, {})[_told_alike(headline.title)] = of_headline(headline.title)
    if sum(map(len, by_outlet.values())) < LEAST_HEADLINES:
        return None
    return fmean(fmean(tones.values()) for tones in by_outlet.values())


def _told_alike(title: str) -> str:
    """A title without case and punctuation: a story told again is not a second one."""
    return " ".join(re.findall(r"\w+", title.lower()))
