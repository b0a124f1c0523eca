"""What passes between the stages: frozen messages, one kind per arrow.

``collect -> Reading -> guard -> Snapshot -> score -> Scores
-> decide -> Report -> attest -> Bundle -> publish -> Receipt``

Times are Unix milliseconds, as integers: `venue_time_ms` is when the venue says it happened, `seen_time_ms` when this
node read it. Prices are US dollars, rates and volatilities fractions (0.62 is 62 %), sizes US dollars unless said.
Nothing here is edited after it is made: a stage makes the next kind.
"""

from __future__ import annotations

from margrave.messages.bundles import AnyBundle as AnyBundle
from margrave.messages.bundles import Attestation as Attestation
from margrave.messages.bundles import Bundle as Bundle
from margrave.messages.bundles import CoSignature as CoSignature
from margrave.messages.bundles import CoSigned as CoSigned
from margrave.messages.bundles import Explained as Explained
from margrave.messages.bundles import Proposal as Proposal
from margrave.messages.bundles import Receipt as Receipt
from margrave.messages.bundles import Stated as Stated
from margrave.messages.message import Message as Message
from margrave.messages.readings import EVERY_MARKET as EVERY_MARKET
from margrave.messages.readings import EXPIRES_AT_H as EXPIRES_AT_H
from margrave.messages.readings import SEVERAL_OF_ONE_SOURCE as SEVERAL_OF_ONE_SOURCE
from margrave.messages.readings import AnyReading as AnyReading
from margrave.messages.readings import Bar as Bar
from margrave.messages.readings import BarsReading as BarsReading
from margrave.messages.readings import BookReading as BookReading
from margrave.messages.readings import ChainReading as ChainReading
from margrave.messages.readings import Contract as Contract
from margrave.messages.readings import ContractKind as ContractKind
from margrave.messages.readings import DepthBand as DepthBand
from margrave.messages.readings import HealthReading as HealthReading
from margrave.messages.readings import Kind as Kind
from margrave.messages.readings import LiquidationsReading as LiquidationsReading
from margrave.messages.readings import NoticeReading as NoticeReading
from margrave.messages.readings import OptionQuote as OptionQuote
from margrave.messages.readings import PoolReading as PoolReading
from margrave.messages.readings import Reading as Reading
from margrave.messages.readings import Refusal as Refusal
from margrave.messages.readings import ScalarReading as ScalarReading
from margrave.messages.readings import Slot as Slot
from margrave.messages.readings import TradesReading as TradesReading
from margrave.messages.reports import ChainState as ChainState
from margrave.messages.reports import Epoch as Epoch
from margrave.messages.reports import Hold as Hold
from margrave.messages.reports import MarketHalt as MarketHalt
from margrave.messages.reports import OnchainMarket as OnchainMarket
from margrave.messages.reports import Report as Report
from margrave.messages.reports import ReportRow as ReportRow
from margrave.messages.scores import Attributed as Attributed
from margrave.messages.scores import HurtPath as HurtPath
from margrave.messages.scores import Ladder as Ladder
from margrave.messages.scores import MarketScores as MarketScores
from margrave.messages.scores import Reason as Reason
from margrave.messages.scores import Scores as Scores
from margrave.messages.scores import Surface as Surface
from margrave.messages.snapshots import Doubted as Doubted
from margrave.messages.snapshots import MarketHold as MarketHold
from margrave.messages.snapshots import MarketSnapshot as MarketSnapshot
from margrave.messages.snapshots import Snapshot as Snapshot
from margrave.messages.snapshots import SourcePrice as SourcePrice
