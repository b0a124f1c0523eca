"""The live view of a run in the terminal; one plain line a round where the output is not a terminal.

The view only shows what it is told. It reads no clock and no chain, and it never fails a run: whatever the width,
something sensible is printed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Final, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from margrave.lab.demo import story, wording
from margrave.lab.demo.record import MarketRow, RoundRow
from margrave.messages import Reason

SCORE_MAX: Final = 10_000
BAR_CELLS: Final = 10
NOTES_SHOWN: Final = 3
HISTORY_ROUNDS: Final = 24
INDENT: Final = 8
BLOCKS: Final = "▁▂▃▄▅▆▇█"
TROUBLE: Final = ("down", "dead", "fail", "halt", "silent", "stop", "killed", "lost")


class Watch:
    """Context manager around a run: `say` while it is set up, then `round` once a round, `state` whenever nodes change.

    Args:
        title: the run's title.
        markets: in the order they are shown.
        rounds: how many there will be; 0 for a run without an end.
        console: where to write; the standard output by default.
    """

    def __init__(self, title: str, markets: Sequence[str], rounds: int, *, console: Console | None = None) -> None:
        self._title, self._markets, self._rounds = title, tuple(markets), rounds
        self._console = console or Console(highlight=False)
        self._live = Live(console=self._console, auto_refresh=False) if self._console.is_terminal else None
        self._states: dict[str, str] = {}
        self._ended = False
        self._seen = 0
        self._published = 0
        self._last: RoundRow | None = None
        self._shown: dict[str, MarketRow] = {}
        self._requirements: dict[str, deque[float]] = {market: deque(maxlen=HISTORY_ROUNDS) for market in self._markets}

    def __enter__(self) -> Self:
        if self._live is None:
            self._line(f"{self._title}: {wording.listing(list(self._markets))}, {self._goal()}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def say(self, line: str) -> None:
        """One line of progress; it stays above the live view."""
        self._line(line)

    def state(self, node_states: Mapping[str, str]) -> None:
        """What each node is doing, in a word or two. Without a terminal only changes are printed."""
        changed = {node: state for node, state in node_states.items() if self._states.get(node) != state}
        self._states |= node_states
        if self._live is None and changed:
            self._line("nodes: " + ", ".join(f"{node} {state}" for node, state in changed.items()))
        elif self._last is not None and not self._ended:
            self._refresh()

    def round(self, row: RoundRow) -> None:
        """Show one finished round; the last of the announced ones ends the live view.

        A market that is not in the round keeps its last figures, marked as old.
        """
        self._seen += 1
        self._published += row.published
        self._last = row
        self._shown |= row.markets
        for market, state in row.markets.items():
            self._requirements.setdefault(market, deque(maxlen=HISTORY_ROUNDS)).append(state.requirement_usd)
        if self._live is None:
            self._line(plain_line(row, self._seen, self._rounds))
        else:
            self._refresh()
        if self._seen == self._rounds:
            self._end()

    def _end(self) -> None:
        """Leave the last view where it is and give the terminal back: there may be a question to answer next."""
        if self._ended:
            return
        self._ended = True
        if self._live is not None and self._live.is_started:
            self._live.stop()
        if self._seen:
            self._line(f"{self._published:,} of {wording.plural(self._seen, 'round')} published")

    def _goal(self) -> str:
        return wording.plural(self._rounds, "round") if self._rounds else "until stopped"

    def _line(self, line: str) -> None:
        # A line in a log is one line, however long.
        self._console.print(Text(printable(line)), soft_wrap=self._live is None)

    def _refresh(self) -> None:
        if self._live is None:
            return
        if not self._live.is_started:
            self._live.start()
        self._live.update(self.view(), refresh=True)

    # --- the live view ----------------------------------------------------------------------------------------------

    def view(self) -> RenderableType:
        """The whole live view, for the console's present width."""
        parts: list[RenderableType] = [Text(""), self._header(), Rule(style="bright_black")]
        for market in self._markets:
            parts += self._market(market) if market in self._shown else [_dim(f"{market}  nothing on chain yet")]
            parts.append(Text(""))
        parts += [Rule(style="bright_black"), self._chain()]
        if self._states:
            parts.append(self._nodes())
        if self._last is not None:
            parts += [Text(f"! {printable(note)}", style="yellow") for note in self._last.notes[:NOTES_SHOWN]]
        return Padding(Group(*parts), (0, 1))

    def _header(self) -> Table:
        counted = f"round {self._seen}{f'/{self._rounds}' if self._rounds else ''}"
        clock = f"{wording.short_moment(self._last.time_ms)} UTC" if self._last else ""
        grid = Table.grid(expand=True, padding=(0, 2))
        grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        grid.add_column(no_wrap=True, min_width=len(counted))
        grid.add_column(width=min(30, self._console.width // 8))
        grid.add_column(no_wrap=True, justify="right")
        bar = ProgressBar(total=max(self._rounds, self._seen, 1), completed=self._seen, complete_style="cyan")
        grid.add_row(Text(self._title, style="bold"), Text(counted), bar, Text(clock, style="cyan"))
        return grid

    def _market(self, market: str) -> list[RenderableType]:
        """Two lines of figures, a line a reason, and what was out of the ordinary."""
        state = self._shown[market]
        name = f"{market:<{INDENT}}"
        first = Text().append(name, style="bold").append(f"{wording.usd(state.price_usd):<12}", style="bold")
        _figure(first, "forecast", wording.volatility(state.sigma_forecast), 7, "bold blue")
        _figure(first, "implied", wording.volatility(state.sigma_implied_30d), 7)
        _figure(first, "ES 99%", f"−{wording.percent(state.down_es99)} +{wording.percent(state.up_es99)}", 0)
        second = Text(" " * INDENT)
        _figure(second, "score", f"{wording.count(state.score):<6}", 0, "bold")
        filled, empty = score_bar(state.score)
        second.append(filled, style=score_colour(state.score)).append(empty + "  ", style="bright_black")
        _figure(second, "collateral", wording.usd(state.requirement_usd), 7, "bold blue")
        _figure(second, "grid", wording.usd(state.static_requirement_usd), 7)
        room = self._console.width - 2 - second.cell_len
        if room > 0:
            second.append(sparkline(list(self._requirements[market])[-room:]), style="blue")
        reasons = [_reason(reason) for reason in story.top_reasons(state)]
        flags = flags_of(state) + ([] if self._last is None or market in self._last.markets else ["not in this round"])
        lines = [first, second, *reasons, *([Text(" " * INDENT + ", ".join(flags), style="yellow")] if flags else [])]
        for line in lines:
            line.no_wrap, line.overflow = True, "ellipsis"
        return list(lines)

    def _chain(self) -> Text:
        row = self._last
        if row is None:
            return Text("no round yet", style="bright_black")
        if not row.published:
            text = Text("not published", style="yellow")
        else:
            text = Text("published", style="green").append(f" by {row.publisher}", style="default")
            text.append(f"  gas {wording.count(row.gas_used)}  {wording.seconds(row.seconds_to_chain)} to chain")
        text.append(f"  signed by {wording.listing(list(row.signers)) or 'nobody'}")
        if row.refusals:
            text.append(f"  {wording.plural(row.refusals, 'reading')} refused", style="bright_black")
        return text

    def _nodes(self) -> Text:
        text = Text("nodes", style="bright_black")
        for node, state in self._states.items():
            trouble = any(word in state.lower() for word in TROUBLE)
            text.append(f"  {node} ", style="default").append(printable(state), style="red" if trouble else "green")
        return text


# --- words and glyphs -----------------------------------------------------------------------------------------------


def plain_line(row: RoundRow, number: int, of: int) -> str:
    """A round in one line without colours: what a build log keeps."""
    head = f"round {number}{f'/{of}' if of else ''}  {wording.short_moment(row.time_ms)}"
    markets = [
        f"{market} {wording.usd(state.price_usd)} vol {wording.volatility(state.sigma_forecast)} "
        f"ES −{wording.percent(state.down_es99)}/+{wording.percent(state.up_es99)} score {wording.count(state.score)} "
        f"collateral {wording.usd(state.requirement_usd)} (grid {wording.usd(state.static_requirement_usd)})"
        for market, state in row.markets.items()
    ]
    end = f"published by {row.publisher}, gas {wording.count(row.gas_used)}" if row.published else "not published"
    signed = f"signed by {wording.listing(list(row.signers)) or 'nobody'}"
    return " | ".join([head, *markets, f"{end}, {signed}", *row.notes])


def flags_of(state: MarketRow) -> list[str]:
    """What was not quite ordinary about a market's figures."""
    flags = {
        "held back by the step limit": state.limited,
        "baseline model": state.fallback,
        f"status {state.status}": state.status != "fresh",
    }
    return [words for words, holds in flags.items() if holds]


def sparkline(values: Sequence[float]) -> str:
    """Eight heights from the smallest to the largest, or over a tenth of the largest where they lie closer."""
    if not values:
        return ""
    low, high = min(values), max(values)
    span = max(high - low, 0.1 * abs(high)) or 1.0
    return "".join(BLOCKS[round((value - low) / span * (len(BLOCKS) - 1))] for value in values)


def score_bar(score: float) -> tuple[str, str]:
    """The filled and the empty part of a bar of BAR_CELLS cells."""
    filled = round(BAR_CELLS * min(max(score, 0.0), SCORE_MAX) / SCORE_MAX)
    return "█" * filled, "░" * (BAR_CELLS - filled)


def score_colour(score: float) -> str:
    return "green" if score < 3_000 else "yellow" if score < 6_000 else "red"


def printable(text: str) -> str:
    """Without control characters: a venue's error text must not steer the operator's terminal."""
    return "".join(character if character.isprintable() else " " for character in text)


def _figure(line: Text, label: str, value: str, width: int, style: str = "default") -> None:
    line.append(f"{label} ", style="bright_black").append(f"{value:<{width}}", style=style).append("  ")


def _reason(reason: Reason) -> Text:
    points = f"{reason.points:+,.0f}".replace("-", "−")
    return Text(f"{' ' * INDENT}{points:>6}  ", style="bright_black").append(
        printable(reason.sentence), style="default"
    )


def _dim(words: str) -> Text:
    return Text(words, style="bright_black")
