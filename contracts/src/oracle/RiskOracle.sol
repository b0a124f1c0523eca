// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {ECDSA} from "solady/utils/ECDSA.sol";
import {EIP712} from "solady/utils/EIP712.sol";
import {LibBit} from "solady/utils/LibBit.sol";
import {IRiskOracle} from "../interfaces/IRiskOracle.sol";
import {Config, Settings} from "./Config.sol";
import {Governed} from "./Governed.sol";
import "./Lanes.sol";
import {Medians} from "./Medians.sol";
import {Limits, Policy, Timing} from "./Policy.sol";

/// @title Medians of a quorum's signed figures, bounded and stamped, two words a market.
/// @notice Anyone may publish: authority is in the signatures. Each member signs its own words (EIP-712); the contract
/// takes the median of every lane, refuses what lies outside governance's bounds (the market halts, its last good words
/// stay), holds loosening to a step a round, and stamps the time of observation. One market never blocks another.
contract RiskOracle is IRiskOracle, Governed, EIP712 {
    using Config for bytes;
    using Config for address;

    /// @dev Flags lane: three bits of the contract's own, then the index of the model set.
    uint256 public constant LIMITED = 1;
    uint256 public constant HALT = 2;
    uint256 public constant RESUMED = 4;
    uint256 public constant MODEL_SET_SHIFT = 3;
    uint256 private constant HALF_ORDER = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0;

    bytes32 public constant OWN_WORDS_TYPEHASH = keccak256(
        "OwnWords(uint32 epoch,uint32 round,uint16 firstMarket,bytes32 modelSet,bytes32 policy,uint256[] words)"
    );

    enum SkipReason {
        ABSTAINED, // a member of this quorum has no figure for the market
        NOT_NEWER, // the stored observation is as new or newer
        HALTED // governance must resume it first
    }

    /// @notice The whole oracle at one block, for a node or a dashboard.
    struct State {
        uint256 blockNumber;
        uint256 timestamp;
        uint32 epoch;
        address[] members;
        uint8 quorum;
        bytes32 modelSet;
        bytes32 policyDigest;
        Timing timing;
        MarketState[] markets;
    }

    /// @dev What one publication carries through the loop over its markets.
    struct Batch {
        bytes config;
        uint256 round;
        uint256 observedAt;
        uint256 firstMarket;
        uint256 markets;
        uint256 quorum;
    }

    event Published(
        uint32 indexed round, address indexed publisher, uint16 firstMarket, uint16 markets, uint256 memberBitmap
    );
    /// @notice A step limit held at least one lane back; the words are the medians before it.
    event StepLimited(uint16 indexed id, uint32 indexed round, uint256 risk, uint256 market);
    /// @notice The words are the medians that were refused.
    event Halted(uint16 indexed id, uint32 indexed round, HaltReason reason, uint256 risk, uint256 market);
    event Skipped(uint16 indexed id, uint32 indexed round, SkipReason reason);
    event Resumed(uint16 indexed id);

    error NoEpoch();
    error WrongLength(uint256 got, uint256 wanted);
    error Future(uint256 observedAt, uint256 latest);
    error TooOld(uint256 observedAt, uint256 earliest);
    error WrongQuorum(uint256 got, uint256 wanted);
    error UnknownMembers(uint256 memberBitmap, uint256 memberCount);
    error HighS(uint256 memberIndex);
    error WrongSigner(address recovered, address member);
    error UnknownMarket(uint256 id, uint256 markets);
    error StrayBits(uint256 id);
    error NothingNew(uint256 observedAt, uint256 lastObservedAt);

    error NotHalted(uint16 id);

    /// @dev Risk word at 2·id, market word after it: an array of fixed size needs no hash to find a slot.
    uint256[131_072] private _words;

    constructor(address governance, Timing memory timing) Governed(governance, timing) {}

    // --- publishing -------------------------------------------------------------------------------------------------

    /// @notice Write a quorum's medians.
    /// @param round Observed at `round * period`.
    /// @param firstMarket Id of the first market; the words are of consecutive ones.
    /// @param memberBitmap Who signed: bit i is member i of the epoch. Exactly a quorum.
    /// @param rvs Signatures (EIP-2098) as pairs r, vs, in the order of the bits.
    /// @param words For each signer in that order: risk, market, risk, market, … Zero words are an abstention.
    function publish(
        uint32 round,
        uint16 firstMarket,
        uint256 memberBitmap,
        bytes32[] calldata rvs,
        uint256[] calldata words
    ) external {
        Head memory head = _head;
        Batch memory batch = _open(head.config.load(), round, firstMarket, memberBitmap, rvs.length, words.length);
        _requireSignatures(batch, head.epoch, memberBitmap, rvs, words);
        bool any = false;
        for (uint256 i = 0; i < batch.markets; ++i) {
            if (_settle(batch, i, words)) any = true;
        }
        if (!any) revert NothingNew(batch.observedAt, _observedAt(_words[2 * batch.firstMarket + 1]));
        emit Published(round, msg.sender, firstMarket, uint16(batch.markets), memberBitmap);
    }

    /// @dev Everything about a publication that can be judged before its signatures.
    function _open(
        bytes memory config,
        uint256 round,
        uint256 firstMarket,
        uint256 memberBitmap,
        uint256 rvsLength,
        uint256 wordsLength
    ) private view returns (Batch memory batch) {
        uint256 quorum = config.quorum();
        if (quorum == 0) revert NoEpoch();
        uint256 signers = LibBit.popCount(memberBitmap);
        if (signers != quorum) revert WrongQuorum(signers, quorum);
        if (memberBitmap >> config.memberCount() != 0) revert UnknownMembers(memberBitmap, config.memberCount());
        if (rvsLength != 2 * quorum) revert WrongLength(rvsLength, 2 * quorum);
        uint256 markets = wordsLength / (2 * quorum);
        if (markets == 0 || markets * 2 * quorum != wordsLength) {
            revert WrongLength(wordsLength, 2 * quorum * (markets == 0 ? 1 : markets));
        }
        if (firstMarket + markets > config.marketCount()) {
            revert UnknownMarket(firstMarket + markets - 1, config.marketCount());
        }
        uint256 observedAt = _requireTimely(config.timing(), round);
        return Batch(config, round, observedAt, firstMarket, markets, quorum);
    }

    function _requireTimely(Timing memory timing, uint256 round) private view returns (uint256 observedAt) {
        observedAt = round * timing.period;
        uint256 latest = block.timestamp + timing.maxSkew;
        if (observedAt > latest) revert Future(observedAt, latest);
        if (observedAt + timing.maxReportAge < block.timestamp) {
            revert TooOld(observedAt, block.timestamp - timing.maxReportAge);
        }
    }

    function _requireSignatures(
        Batch memory batch,
        uint256 epoch,
        uint256 memberBitmap,
        bytes32[] calldata rvs,
        uint256[] calldata words
    ) private view {
        uint256 perMember = 2 * batch.markets;
        bytes memory config = batch.config;
        bytes32[7] memory fields = [
            OWN_WORDS_TYPEHASH,
            bytes32(epoch),
            bytes32(batch.round),
            bytes32(batch.firstMarket),
            config.modelSet(),
            config.digest(),
            bytes32(0)
        ];
        for (uint256 i = 0; i < batch.quorum; ++i) {
            uint256 index = LibBit.ffs(memberBitmap);
            memberBitmap &= memberBitmap - 1;
            fields[6] = keccak256(abi.encodePacked(words[i * perMember:(i + 1) * perMember]));
            bytes32 digest = _hashTypedData(keccak256(abi.encode(fields)));
            _requireSigned(digest, rvs[2 * i], rvs[2 * i + 1], config.member(index), index);
        }
    }

    function _requireSigned(bytes32 digest, bytes32 r, bytes32 vs, address member, uint256 index) private view {
        if (uint256(vs) << 1 >> 1 > HALF_ORDER) revert HighS(index);
        address recovered = ECDSA.tryRecover(digest, r, vs);
        if (recovered != member) revert WrongSigner(recovered, member); // a member is never zero
    }

    /// @return Whether the market was written or halted; otherwise it was skipped.
    function _settle(Batch memory batch, uint256 i, uint256[] calldata words) private returns (bool) {
        uint16 id = uint16(batch.firstMarket + i);
        (uint256 oldRisk, uint256 oldMarket) = (_words[2 * uint256(id)], _words[2 * uint256(id) + 1]);
        uint256 flags = _flags(oldMarket);
        if (flags & HALT != 0) return _skip(batch, id, SkipReason.HALTED);
        if (_observedAt(oldMarket) >= batch.observedAt) return _skip(batch, id, SkipReason.NOT_NEWER);
        (bool complete, uint256 risk, uint256 market) = _medians(batch, i, words, id);
        if (!complete) return _skip(batch, id, SkipReason.ABSTAINED);

        Limits memory limits = batch.config.limitsOf(id);
        bool first = oldMarket == 0 || flags & RESUMED != 0;
        oldMarket &= ~MARKET_STAMPED;
        (bool refused, HaltReason reason) = Policy.check(limits, risk, market, first ? 0 : oldMarket >> PRICE_SHIFT);
        if (refused) {
            _words[2 * uint256(id) + 1] |= HALT << FLAGS_SHIFT;
            emit Halted(id, uint32(batch.round), reason, risk, market);
            return true;
        }
        // Steps are counted from a figure that governance's bounds still allow; after a change that excludes it the
        // median, which they do allow, is taken whole.
        bool limited = false;
        if (!first && Policy.withinBounds(limits, oldRisk, oldMarket)) {
            (uint256 heldRisk, uint256 heldMarket) = Policy.limit(limits, oldRisk, oldMarket, risk, market);
            limited = heldRisk != risk || heldMarket != market;
            if (limited) emit StepLimited(id, uint32(batch.round), risk, market);
            (risk, market) = (heldRisk, heldMarket);
        }
        flags = (limited ? LIMITED : 0) | batch.config.modelSetIndex() << MODEL_SET_SHIFT;
        _words[2 * uint256(id)] = risk;
        _words[2 * uint256(id) + 1] = market | batch.observedAt << STAMP_SHIFT | flags << FLAGS_SHIFT;
        return true;
    }

    function _skip(Batch memory batch, uint16 id, SkipReason reason) private returns (bool) {
        emit Skipped(id, uint32(batch.round), reason);
        return false;
    }

    /// @return complete Whether every signer has a figure for the market.
    /// @return risk Medians of the risk word's lanes.
    /// @return market Medians of the market word's lanes.
    function _medians(Batch memory batch, uint256 i, uint256[] calldata words, uint256 id)
        private
        pure
        returns (bool complete, uint256 risk, uint256 market)
    {
        unchecked {
            uint256 n = batch.quorum;
            if (n == 3) return _mediansOf3(batch, i, words, id);
            uint256[] memory risks = new uint256[](n);
            uint256[] memory markets = new uint256[](n);
            uint256 riskBits = 0;
            uint256 marketBits = 0;
            for (uint256 m = 0; m < n; ++m) {
                (risk, market) = _pair(words, m * batch.markets + i);
                if (risk == 0 || market == 0) return (false, 0, 0);
                riskBits |= risk;
                marketBits |= market;
                risks[m] = risk;
                markets[m] = market;
            }
            if (riskBits & RISK_FORBIDDEN | marketBits & MARKET_FORBIDDEN != 0) revert StrayBits(id);
            return (true, Medians.median(risks, RISK_GUARDS), Medians.median(markets, MARKET_GUARDS));
        }
    }

    /// @dev The quorum of a committee of four, without arrays.
    function _mediansOf3(Batch memory batch, uint256 i, uint256[] calldata words, uint256 id)
        private
        pure
        returns (bool, uint256, uint256)
    {
        unchecked {
            (uint256 risk0, uint256 market0) = _pair(words, i);
            (uint256 risk1, uint256 market1) = _pair(words, batch.markets + i);
            (uint256 risk2, uint256 market2) = _pair(words, 2 * batch.markets + i);
            if (risk0 == 0 || risk1 == 0 || risk2 == 0 || market0 == 0 || market1 == 0 || market2 == 0) {
                return (false, 0, 0);
            }
            if ((risk0 | risk1 | risk2) & RISK_FORBIDDEN | (market0 | market1 | market2) & MARKET_FORBIDDEN != 0) {
                revert StrayBits(id);
            }
            return (
                true,
                Medians.of3(risk0, risk1, risk2, RISK_GUARDS),
                Medians.of3(market0, market1, market2, MARKET_GUARDS)
            );
        }
    }

    /// @dev Without the bounds check: `_open` has compared the length with what is read.
    function _pair(uint256[] calldata words, uint256 index) private pure returns (uint256 risk, uint256 market) {
        assembly ("memory-safe") {
            let at := add(words.offset, shl(6, index))
            risk := calldataload(at)
            market := calldataload(add(at, 32))
        }
    }

    // --- reading ----------------------------------------------------------------------------------------------------

    /// @inheritdoc IRiskOracle
    function read(uint16 id) external view returns (uint256 risk, uint256 market, uint256 ageS, Status status) {
        MarketState memory x = _read(id, _head);
        return (x.risk, x.market, x.ageS, x.status);
    }

    /// @inheritdoc IRiskOracle
    function readMany(uint16[] calldata ids) external view returns (MarketState[] memory markets) {
        Head memory head = _head;
        markets = new MarketState[](ids.length);
        for (uint256 i = 0; i < ids.length; ++i) {
            markets[i] = _read(ids[i], head);
        }
    }

    /// @inheritdoc IRiskOracle
    function period() external view returns (uint256) {
        return _head.config.load().timing().period;
    }

    /// @notice Settings and every market at one block.
    function state() external view returns (State memory x) {
        Head memory head = _head;
        Settings memory settings = head.config.read();
        x.blockNumber = block.number;
        x.timestamp = block.timestamp;
        x.epoch = head.epoch;
        x.members = settings.members;
        x.quorum = settings.quorum;
        x.modelSet = settings.modelSet;
        x.policyDigest = Config.policyDigest(settings);
        x.timing = settings.timing;
        x.markets = new MarketState[](settings.classOf.length);
        for (uint256 i = 0; i < x.markets.length; ++i) {
            x.markets[i] = _read(i, head);
        }
    }

    function _read(uint256 id, Head memory head) private view returns (MarketState memory x) {
        x.risk = _words[2 * id];
        x.market = _words[2 * id + 1];
        uint256 observedAt = _observedAt(x.market);
        x.ageS = block.timestamp > observedAt ? block.timestamp - observedAt : 0;
        x.status = _status(x.market, x.ageS, head);
    }

    function _status(uint256 market, uint256 ageS, Head memory head) private pure returns (Status) {
        uint256 flags = _flags(market);
        if (flags & HALT != 0) return Status.HALTED;
        if (market == 0) return Status.EMPTY;
        if (flags & RESUMED != 0 || ageS >= head.staleAfter) return Status.STALE;
        return ageS >= head.agingAfter ? Status.AGING : Status.FRESH;
    }

    function _observedAt(uint256 market) private pure returns (uint256) {
        return market >> STAMP_SHIFT & STAMP_MAX;
    }

    function _flags(uint256 market) private pure returns (uint256) {
        return market >> FLAGS_SHIFT & LANE_MAX;
    }

    // --- governance -------------------------------------------------------------------------------------------------

    /// @notice Let a halted market be written again. Its next figures are taken whole, as if they were the first, and
    /// until then it reads as stale. A new epoch begins, so that what halted it cannot be replayed.
    function resume(uint16 id) external onlyOwner {
        uint256 market = _words[2 * uint256(id) + 1];
        if (_flags(market) & HALT == 0) revert NotHalted(id);
        market &= ~(HALT << FLAGS_SHIFT);
        _words[2 * uint256(id) + 1] = market == 0 ? 0 : market | RESUMED << FLAGS_SHIFT;
        _configure(_head.config.read());
        emit Resumed(id);
    }

    function _domainNameAndVersion() internal pure override returns (string memory, string memory) {
        return ("Margrave", "1");
    }
}
