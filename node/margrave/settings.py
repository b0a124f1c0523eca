"""Everything an operator or governance can set, in one schema: node.toml, markets.toml and policy.toml.

Unknown keys are refused, because a mistyped key that is silently ignored is a guard that is silently off.
`load` raises `Fatal` with the file, the key and what to write instead; nothing else in the project reads TOML.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from itertools import groupby
from pathlib import Path
from typing import Final, TypeVar

from pydantic import Field, ValidationError, model_validator

from margrave.errors import Fatal
from margrave.guarding import GuardPolicy as GuardPolicy
from margrave.guarding import Layers as Layers
from margrave.lanes import ASCENDING, BOXES, LANES, Lane
from margrave.modelling import ModelPolicy as ModelPolicy
from margrave.modelling import WideningPolicy as WideningPolicy
from margrave.sections import Positive as Positive
from margrave.sections import Section as Section
from margrave.sections import Share as Share
from margrave.verdicts import ReportKind
from margrave.watching import LendingSettings as LendingSettings
from margrave.watching import WatchedChainSettings as WatchedChainSettings

PROJECT_ROOT: Final = Path(__file__).resolve().parents[2]
"""Where config/, models/ and contracts/ lie beside node/."""
MARKETS_FILE: Final = PROJECT_ROOT / "config" / "markets.toml"
POLICY_FILE: Final = PROJECT_ROOT / "config" / "policy.toml"
REGISTRY: Final = PROJECT_ROOT / "models" / "registry"
"""Of this project; a node may be told of another (`registry_dir`)."""

SectionT = TypeVar("SectionT", bound="Section")


# --- node.toml: one operator's machine ------------------------------------------------------------------------------


class KeySettings(Section):
    keystore: Path
    """Encrypted JSON keystore (Web3 Secret Storage) of the member's signing key."""
    passphrase_file: Path
    """File with the passphrase, readable by the node's user only."""


class ChainSettings(Section):
    rpc: list[str] = Field(min_length=1)
    """HTTP endpoints, first is preferred."""
    chain_id: int = Field(gt=0)
    oracle: str
    clearinghouse: str | None = None
    confirmations: int = Field(default=2, ge=0)
    max_fee_gwei: Positive = 200.0
    timeout_s: Positive = 5.0


class PeerSettings(Section):
    urls: list[str] = []
    host: str = "127.0.0.1"
    port: int = Field(default=8710, ge=0, le=65535)


class VenueSettings(Section):
    base_url: str
    futures_url: str | None = None
    """Host of the venue's perpetuals where it has its own (Binance, Kraken); otherwise `base_url` serves them."""
    stream_url: str | None = Field(default=None, pattern=r"^wss?://")
    """Host of the venue's websockets; without it the venue is only polled."""
    futures_stream_url: str | None = Field(default=None, pattern=r"^wss?://")
    """The same for its perpetuals where they have their own; otherwise `stream_url` serves them."""
    options_url: str | None = None
    """Host of the venue's options where it has its own (Binance); they are not asked without it."""
    enabled: bool = True
    timeout_s: Positive = 5.0
    requests_per_minute: Positive = 600.0


class ClockSettings(Section):
    """An accelerated clock for drills and replays: `origin_ms` of the tape is at `wall_origin_ms` of the machine."""

    origin_ms: int
    wall_origin_ms: int
    speed: Positive


class SentimentSettings(Section):
    """Where moods are read. Nothing is asked that is not named here, and no figure needs them."""

    fear_greed_url: str | None = None
    """`https://api.alternative.me/fng/` serves it without a key, once a day."""
    news: dict[str, str] = {}
    """Outlet -> address of its RSS or Atom feed. Each outlet is one voice, however much it writes."""
    timeout_s: Positive = 10.0


class RecordingSettings(Section):
    """Keep what the venues say, byte for byte, for `margrave replay-feed`."""

    folder: Path
    keep_gb: Positive | None = None
    """The oldest files are removed beyond so much; without it everything is kept."""


BREADTH: Final = "ccxt"
"""Source of what is heard by way of that library: "ccxt:gate"; names under "ccxt" alone stand for all its exchanges."""


class BreadthSettings(Section):
    """More venues by way of ccxt, an extra; off where no exchange is named."""

    exchanges: list[str] = Field(default=[], max_length=200)
    """By ccxt's names for them: bitstamp, gate, kucoin, …"""
    every_s: Positive = 60.0
    turn_s: Positive = 45.0
    """All of them together; what is not asked by then waits for the next turn."""
    timeout_s: Positive = 10.0
    at_once: int = Field(default=8, ge=1, le=64)
    levels: int = Field(default=100, ge=5, le=1_000)
    """Of a book, a side; ccxt asks for the next size that the exchange has."""


class NodeSettings(Section):
    name: str
    state_dir: Path
    keys: KeySettings
    chain: ChainSettings
    chains: dict[str, WatchedChainSettings] = {}
    """By the operator's name for it."""
    peers: PeerSettings = PeerSettings()
    venues: dict[str, VenueSettings]
    clock: ClockSettings | None = None
    recording: RecordingSettings | None = None
    sentiment: SentimentSettings = SentimentSettings()
    breadth: BreadthSettings = BreadthSettings()
    markets_file: Path = MARKETS_FILE
    policy_file: Path = POLICY_FILE
    registry_dir: Path = REGISTRY

    @property
    def journal_file(self) -> Path:
        return self.state_dir / "journal.sqlite"

    log_format: str = Field(default="text", pattern="^(text|json)$")


# --- markets.toml: what is watched ----------------------------------------------------------------------------------


class Instruments(Section):
    """A venue's names for one market; a missing name means the venue is not asked for it."""

    index: str | None = None
    spot: str | None = None
    perpetual: str | None = None
    options: str | None = None
    vol_index: str | None = None


class MarketSettings(Section):
    id: int = Field(ge=0, lt=65536)
    reference_size_usd: Positive
    """The position whose closing cost the liquidity lane prices."""
    group: int = Field(default=0, ge=0, le=255)
    """Markets of one group are written all or none; their ids are consecutive. 0 is alone."""
    history: int = Field(default=0, ge=0, le=255)
    """How many overwritten figures stay readable on chain."""
    instruments: dict[str, Instruments]

    def names_at(self, source: str) -> Instruments | None:
        """A source's names for the market; an exchange of the breadth has those of all of them, or its own."""
        return self.instruments.get(source) or self.instruments.get(source.partition(":")[0])


# --- policy.toml: what governance decides ---------------------------------------------------------------------------


class RoundPolicy(Section):
    period_s: int = Field(gt=0)
    mpor_s: int = Field(gt=0)
    """Margin period of risk: the time a liquidation is given, and the horizon of the ladder."""
    heartbeat_s: int = Field(gt=0)
    deviation: dict[str, Positive]
    """A market is reported before its heartbeat when a lane has moved by more than this, in the lane's unit; `price`
    is relative."""
    report: ReportKind = ReportKind.OWN_WORDS
    """What a deployment begins with; afterwards the chain says which kind it takes."""
    max_skew_s: int = Field(default=30, ge=0, le=3_600)
    """How far ahead of the block's clock a round may be observed: room for a proposer's clock, not for a choice."""
    max_report_age_s: int = Field(gt=0)
    min_interval_s: int = Field(default=0, ge=0, le=86_400)
    """Least time from one written observation of a market to the next."""
    aging_after_s: int = Field(gt=0)
    stale_after_s: int = Field(gt=0)

    @property
    def poll_s(self) -> float:
        """How often sources are asked: three times a round, so that one answer may be lost."""
        return self.period_s / 3

    @model_validator(mode="after")
    def heartbeats_fit(self) -> RoundPolicy:
        if self.min_interval_s > self.heartbeat_s:
            raise ValueError(f"min_interval_s {self.min_interval_s} is longer than the heartbeat, {self.heartbeat_s} s")
        return self

    @model_validator(mode="after")
    def known_lanes(self) -> RoundPolicy:
        known = {"price", *(name for name, lane in LANES.items() if not lane.stamped)}
        if unknown := sorted(self.deviation.keys() - known):
            raise ValueError(f"deviation of unknown lane {unknown[0]}")
        return self


class LaneLimit(Section):
    """Hard bounds, largest step of one write and daily budget of one lane, in its own unit; outside the bounds the
    market halts. `None`: unlimited."""

    low: float
    high: float
    max_rise: float | None = Field(default=None, ge=0)
    max_fall: float | None = Field(default=None, ge=0)
    daily: float | None = Field(default=None, ge=0)
    """The most it may loosen in a day: fall where it tightens upwards, rise where it tightens downwards, both where
    either may tighten (`Lane.tightens`)."""

    @model_validator(mode="after")
    def ordered(self) -> LaneLimit:
        if self.low > self.high:
            raise ValueError(f"low {self.low} is above high {self.high}")
        return self

    def scaled(self, factor: float) -> LaneLimit:
        """The same bounds and budget, with steps for rounds that are `factor` times as long."""

        def step(size: float | None) -> float | None:
            return None if size is None else size * factor

        return self.model_copy(update={"max_rise": step(self.max_rise), "max_fall": step(self.max_fall)})


class LimitPolicy(Section):
    lanes: dict[str, LaneLimit]
    max_price_move: Positive
    """Relative move of the index price between two accepted rounds beyond which the market halts."""

    @model_validator(mode="after")
    def complete(self) -> LimitPolicy:
        wanted = {name for name, lane in LANES.items() if not lane.stamped}
        if missing := sorted(wanted - self.lanes.keys()):
            raise ValueError(f"no limits for lane {missing[0]}: add [limits.lanes.{missing[0]}]")
        if unknown := sorted(self.lanes.keys() - wanted):
            raise ValueError(f"unknown lane {unknown[0]}")
        for name, (low, high) in BOXES.items():
            if self.lanes[name].low < low or self.lanes[name].high > high:
                raise ValueError(f"lane {name}: bounds must lie within [{low:g}, {high:g}]")
        for chain in ASCENDING:
            if len({self.lanes[name].daily for name in chain}) > 1:
                raise ValueError(f"lanes {', '.join(chain)} ascend together: give them one daily budget")
        return self

    def of(self, lane: Lane) -> LaneLimit:
        return self.lanes[lane.name]


class Policy(Section):
    round: RoundPolicy
    guard: GuardPolicy
    limits: LimitPolicy
    models: ModelPolicy
    widening: WideningPolicy = WideningPolicy()


class Settings(Section):
    node: NodeSettings
    markets: dict[str, MarketSettings]
    policy: Policy


def load(path: Path) -> Settings:
    """Read node.toml and the two files it names.

    Raises:
        Fatal: a file is missing or not TOML, or a key is unknown, missing or out of range.
    """
    node = _beside(path.absolute().parent, load_section(path, NodeSettings))
    return Settings(node=node, markets=load_markets(node.markets_file), policy=load_policy(node.policy_file))


def load_markets(path: Path) -> dict[str, MarketSettings]:
    class Markets(Section):
        market: dict[str, MarketSettings] = Field(min_length=1)

    markets = load_section(path, Markets).market
    ids = sorted(m.id for m in markets.values())
    if ids != list(range(len(ids))):
        raise Fatal(f"{path}: market ids are {ids}", advice="number the markets 0, 1, 2, … without gaps or repeats")
    by_id = dict(sorted(markets.items(), key=lambda item: item[1].id))
    runs = [group for group, _ in groupby(market.group for market in by_id.values()) if group]
    if apart := sorted(group for group, times in Counter(runs).items() if times > 1):
        raise Fatal(f"{path}: markets of group {apart[0]} are not next to each other", advice="give them ids in a row")
    return by_id


def load_policy(path: Path) -> Policy:
    return load_section(path, Policy)


def _beside(folder: Path, node: NodeSettings) -> NodeSettings:
    """Relative paths in node.toml are relative to node.toml, not to where the command happens to be run."""
    keys, recording = node.keys, node.recording
    return node.model_copy(
        update={
            "state_dir": folder / node.state_dir,
            "markets_file": folder / node.markets_file,
            "policy_file": folder / node.policy_file,
            "registry_dir": folder / node.registry_dir,
            "recording": recording and recording.model_copy(update={"folder": folder / recording.folder}),
            "keys": keys.model_copy(
                update={"keystore": folder / keys.keystore, "passphrase_file": folder / keys.passphrase_file}
            ),
        }
    )


def load_section(path: Path, schema: type[SectionT]) -> SectionT:
    """Any TOML of the project (scenarios, cards too), by the same rules and with the same one-line errors."""
    try:
        return schema.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise Fatal(f"{path}: {error.strerror or error}", advice="check the path, or run `margrave init`") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Fatal(f"{path} is not TOML: {error}", advice="mend the line that it names") from error
    except ValidationError as error:
        # An unknown key first: it is often the misspelling of the one that is missing.
        first = min(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
        key = ".".join(str(part) for part in first["loc"]) or "the file"
        if first["type"] == "extra_forbidden":
            raise Fatal(f"{path}: unknown key {key}", advice="remove it or correct its spelling") from error
        if first["type"] == "missing":
            raise Fatal(f"{path}: {key} is missing", advice="add it; `margrave init` writes a complete file") from error
        raise Fatal(f"{path}: {key}: {first['msg']}", advice="correct the value") from error
