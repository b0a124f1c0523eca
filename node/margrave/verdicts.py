"""Every decision the node takes, as an enum. The same word names the log line, the metric label and the journal row."""

from __future__ import annotations

from enum import IntEnum, StrEnum


class Rejection(StrEnum):
    """Why a reading, payload or attestation was dropped."""

    # what the bytes say
    MALFORMED = "malformed"  # not the JSON or ABI that the venue documents
    UNKNOWN_SHAPE = "unknown_shape"  # well formed, but no endpoint that the adapter reads
    NOT_READ = "not_read"  # recognised, and nothing of the market: an account's own order, a clock, a ping
    EMPTY = "empty"  # well formed, and nothing in it
    VENUE_ERROR = "venue_error"  # the venue answered with an error of its own
    WRONG_INSTRUMENT = "wrong_instrument"  # an answer about something that was not asked
    # what the numbers say
    NOT_FINITE = "not_finite"
    NOT_POSITIVE = "not_positive"
    OUT_OF_RANGE = "out_of_range"
    CROSSED_BOOK = "crossed_book"
    WIDE_SPREAD = "wide_spread"
    THIN_BOOK = "thin_book"
    # what the clock says
    STALE = "stale"
    FUTURE = "future"
    FROZEN = "frozen"  # same value and same venue time for too long
    # what the other venues say
    OUTLIER = "outlier"  # further from the median than the MAD allows
    BREAKER = "breaker"  # a jump that too few others confirm
    # what a chain says
    AT_BOUND = "at_bound"  # an oracle's answer at the bound it is clamped to: the true one lies beyond
    UNSETTLED = "unsettled"  # of a round that is not complete, or carried over from an older one
    NOT_SIMULATED = "not_simulated"  # a curve, fee or hook that we do not compute, or beyond what was read
    # what a peer sent
    WRONG_SIGNER = "wrong_signer"
    WRONG_ROUND = "wrong_round"
    EQUIVOCATION = "equivocation"  # two different signed reports of one member for one round
    NO_EVIDENCE = "no_evidence"  # a proposal states own words that were not shown
    WRONG_MEDIANS = "wrong_medians"  # a proposal whose words are not the medians of what it states


class Doubt(StrEnum):
    """Why a price that enough venues agree on is trusted less. It is published all the same, with less confidence."""

    UNWITNESSED_JUMP = "unwitnessed_jump"  # the venues jumped together, and nothing but their prices moved
    CHEAP_TO_MOVE = "cheap_to_move"  # a jump by which more could be gained than it costs to make
    OFF_TWAP = "off_twap"  # spot away from its time-weighted average in the pools
    OFF_INDEX = "off_index"  # the perpetuals away from the index
    OFF_REDEMPTION = "off_redemption"  # a wrapped or yield asset away from what its issuer gives for it
    OFF_ORACLES = "off_oracles"  # other oracles answer otherwise
    NOBODY_MOVES = "nobody_moves"  # every venue that is believed repeats itself
    MASKED_LEVEL = "masked_level"  # a figure that jumped without reason was taken out


class DriftLevel(IntEnum):
    """How far a market's models are trusted while the world moves away from them; each includes the ones before."""

    STEADY = 0
    FLAGGED = 1  # said, and less confident
    WIDENED = 2  # the rungs are widened too
    BASELINE = 3  # and nothing is published below the baseline's


class DriftReason(StrEnum):
    """What a detector has found."""

    RESIDUALS_WIDER = "residuals_wider"  # outcomes lie further out than the model says
    RESIDUALS_NARROWER = "residuals_narrower"  # or less far: the ladder costs too much
    RESIDUALS_LEAN = "residuals_lean"  # they lie on one side
    RESIDUALS_CHANGED = "residuals_changed"  # ADWIN has cut its window of them
    FEATURES_MOVED = "features_moved"  # the inputs' days are not what they were
    FROZEN = "frozen"  # the price has not moved at all for hours


class Regime(StrEnum):
    """What kind of day a market has, from the quietest on; a word for people, see `score.regime`."""

    CALM = "calm"
    NORMAL = "normal"
    ELEVATED = "elevated"  # the score is above what is usual for this market
    STRESSED = "stressed"
    CRISIS = "crisis"


class HoldReason(StrEnum):
    """Why a round or a market is not reported although nothing is broken for good. Next round tries again."""

    TOO_FEW_SOURCES = "too_few_sources"
    TOO_LITTLE_HISTORY = "too_little_history"
    UNCONFIRMED_JUMP = "unconfirmed_jump"  # a move so large that venues alone do not vouch for it, or not yet
    NO_SURFACE = "no_surface"
    UNLIKE_TRAINING = "unlike_training"
    WITHIN_BAND = "within_band"  # nothing to do: distinct from every reason that means «cannot see»
    ALREADY_PUBLISHED = "already_published"
    NO_QUORUM = "no_quorum"
    NO_MEMBER = "no_member"  # this key may not sign in the epoch that binds the round
    LATER_EPOCH = "later_epoch"  # this node runs what governance has approved from a later round on
    LOOSER_POLICY = "looser_policy"  # the chain's limits are looser than those this node's operator agreed to
    PAUSED = "paused"  # the guardian has stopped loosening, and nothing tightens
    TOO_SOON = "too_soon"  # less than the least interval since the last write
    LOW_CONFIDENCE = "low_confidence"  # the contract would skip figures that trust themselves so little
    DEADLINE = "deadline"  # a stage overran its share of the round
    CLOCK_SKEW = "clock_skew"
    NOT_REPRESENTABLE = "not_representable"  # a figure does not fit its lane: refused, never clamped


class HaltReason(StrEnum):
    """Why a market must stop until governance or a recovery rule says otherwise."""

    OUT_OF_BOUNDS = "out_of_bounds"  # the honest figure lies outside the contract's hard bounds
    PRICE_JUMP = "price_jump"
    INCOHERENT = "incoherent"


class SkipReason(StrEnum):
    """Why the contract leaves a market as it is; mirrors `SkipReason` of Policy.sol, in its order."""

    ABSTAINED = "abstained"
    NOT_NEWER = "not_newer"
    HALTED = "halted"
    TOO_SOON = "too_soon"
    LOW_CONFIDENCE = "low_confidence"
    GROUP = "group"


class Trigger(StrEnum):
    """Why a market is in this round's report."""

    FIRST = "first"  # nothing on chain yet
    HEARTBEAT = "heartbeat"
    DEVIATION = "deviation"
    EARLY_RIDER = "early_rider"  # not due yet, but it rides along in a transaction that is sent anyway
    EMERGENCY = "emergency"


class Outcome(StrEnum):
    """How a round ended on this node."""

    PUBLISHED = "published"  # this node's transaction is final
    PUBLISHED_BY_PEER = "published_by_peer"
    HELD = "held"
    HALTED = "halted"
    FAILED = "failed"


class MarketStatus(StrEnum):
    """What a reader of the contract is told about a market; mirrors `IRiskOracle.Status`, in its order."""

    EMPTY = "empty"
    FRESH = "fresh"
    AGING = "aging"
    STALE = "stale"
    HALTED = "halted"


class ReportKind(StrEnum):
    """Which kind of report the contract takes; mirrors `ReportKind` of Config.sol, in its order."""

    OWN_WORDS = "own_words"  # each member signs its own words, the contract takes the medians
    CO_SIGNED = "co_signed"  # a quorum signs the medians


class Verdict(StrEnum):
    """Of one thing that an operator's check looked at."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
