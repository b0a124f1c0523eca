// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {LibRLP} from "solady/utils/LibRLP.sol";
import {SSTORE2} from "solady/utils/SSTORE2.sol";
import {Limits, Policy, Timing} from "./Policy.sol";
import {Stamp} from "./Stamp.sol";

/// @notice Which kind of report a deployment takes.
enum ReportKind {
    OWN_WORDS, // each member signs its own words, the contract takes the medians
    CO_SIGNED // a quorum signs the medians
}

/// @notice Everything that governance decides, as one value.
struct Settings {
    ReportKind kind;
    bool paused;
    uint8 quorum;
    uint16 modelSetIndex;
    bytes32 modelSet;
    Timing timing;
    address[] members;
    Limits[] classes;
    bytes classOf; // one byte a market
    bytes groupOf; // one byte a market: 0 alone, else consecutive markets that are written all or none
    bytes ringOf; // one byte a market: length of its history ring
}

/// @title The settings in one code blob, so that a publication reads them all for one cold account access.
/// @dev Layout in 32-byte words: packed header, model set, policy digest, members, classes of eleven words; then three
/// bytes a market: class, group, ring. Every change writes a new blob; the old one stays on chain as a record. A
/// registry creates nothing but blobs, so that blob number `epoch` lies at the CREATE address of nonce `epoch`, and a
/// reader needs no storage slot to find it.
library Config {
    using Config for bytes;

    uint256 internal constant MAX_MEMBERS = 31;
    /// @dev EIP-170's 24,576 bytes of code, less the STOP before them: about sixty-five classes.
    uint256 private constant MAX_BYTES = 24_575;
    uint256 private constant MAX_MIN_INTERVAL = 1 days;
    uint256 private constant HEADER_BYTES = 96;
    uint256 private constant CLASS_BYTES = 352;
    uint256 internal constant MARKET_BYTES = 3;
    uint256 private constant KEY_MASK = 0xffffff0000000000000000000000000000000000000000000000000000000000;

    error QuorumTooSmall(uint256 quorum, uint256 members);
    error BadMember(address member, uint256 index);
    error BadTiming(uint256 got, uint256 most);
    error TooManyModelSets(uint256 index, uint256 most);
    error TooMuchToStore(uint256 length, uint256 most);
    error UnknownClass(uint256 class, uint256 classes);
    error WrongMarkets(uint256 got, uint256 markets);
    error GroupNotConsecutive(uint256 group, uint256 market);

    // --- writing ----------------------------------------------------------------------------------------------------

    /// @notice What members sign to say under which policy they speak; a node recomputes it from its own settings.
    function policyDigest(Settings memory x) internal pure returns (bytes32) {
        return keccak256(abi.encode(x.kind, x.paused, x.timing, x.classes, x.classOf, x.groupOf, x.ringOf));
    }

    /// @notice Refuse settings under which the oracle's promises would not hold.
    function validate(Settings memory x) internal pure {
        _requireMembers(x.members, x.quorum);
        if (x.timing.maxSkew > x.timing.maxReportAge) revert BadTiming(x.timing.maxSkew, x.timing.maxReportAge);
        if (x.timing.minInterval > MAX_MIN_INTERVAL) revert BadTiming(x.timing.minInterval, MAX_MIN_INTERVAL);
        if (x.modelSetIndex > Stamp.MAX_MODEL_SETS) revert TooManyModelSets(x.modelSetIndex, Stamp.MAX_MODEL_SETS);
        uint256 length = HEADER_BYTES + 32 * x.members.length + CLASS_BYTES * x.classes.length;
        length += MARKET_BYTES * x.classOf.length;
        if (length > MAX_BYTES) revert TooMuchToStore(length, MAX_BYTES);
        for (uint256 i = 0; i < x.classes.length; ++i) {
            Policy.validate(x.classes[i]);
        }
        _requireMarkets(x);
    }

    /// @dev More than two thirds: with a third or fewer dishonest, honest members are a majority of every quorum, so
    /// that a median lies between honest figures. No members at all is how a deployment begins.
    function _requireMembers(address[] memory all, uint256 needed) private pure {
        uint256 n = all.length;
        bool none = n == 0 && needed == 0;
        if (!none && (n > MAX_MEMBERS || needed > n || 3 * needed <= 2 * n)) revert QuorumTooSmall(needed, n);
        for (uint256 i = 0; i < n; ++i) {
            if (all[i] == address(0)) revert BadMember(all[i], i);
            for (uint256 j = 0; j < i; ++j) {
                if (all[i] == all[j]) revert BadMember(all[i], i);
            }
        }
    }

    function _requireMarkets(Settings memory x) private pure {
        uint256 markets = x.classOf.length;
        if (x.groupOf.length != markets) revert WrongMarkets(x.groupOf.length, markets);
        if (x.ringOf.length != markets) revert WrongMarkets(x.ringOf.length, markets);
        bool[256] memory ended;
        for (uint256 i = 0; i < markets; ++i) {
            if (uint8(x.classOf[i]) >= x.classes.length) revert UnknownClass(uint8(x.classOf[i]), x.classes.length);
            uint256 group = uint8(x.groupOf[i]);
            if (i > 0 && x.groupOf[i - 1] != x.groupOf[i]) ended[uint8(x.groupOf[i - 1])] = true;
            if (group != 0 && ended[group]) revert GroupNotConsecutive(group, i);
        }
    }

    /// @notice Validate and store.
    function write(Settings memory x) internal returns (address) {
        validate(x);
        uint256 packed = x.quorum;
        packed |= x.members.length << 8;
        packed |= x.classes.length << 16;
        packed |= x.classOf.length << 24;
        packed |= uint256(x.modelSetIndex) << 40;
        packed |= uint256(x.kind) << 56;
        packed |= uint256(x.paused ? 1 : 0) << 57;
        packed |= uint256(x.timing.maxSkew) << 64;
        packed |= uint256(x.timing.maxReportAge) << 96;
        packed |= uint256(x.timing.minInterval) << 128;
        bytes memory blob = abi.encodePacked(packed, x.modelSet, policyDigest(x), x.members);
        for (uint256 i = 0; i < x.classes.length; ++i) {
            blob = abi.encodePacked(blob, abi.encode(x.classes[i]));
        }
        bytes memory markets = new bytes(MARKET_BYTES * x.classOf.length);
        for (uint256 i = 0; i < x.classOf.length; ++i) {
            (markets[3 * i], markets[3 * i + 1], markets[3 * i + 2]) = (x.classOf[i], x.groupOf[i], x.ringOf[i]);
        }
        return SSTORE2.write(abi.encodePacked(blob, markets));
    }

    // --- reading ----------------------------------------------------------------------------------------------------

    /// @notice Where the registry's blob number `epoch` lies; epochs begin at 1.
    /// @dev Nonces of one byte, an epoch's for a long time, by one short hash: the RLP of a list of 22 bytes, which are
    /// an address of 20 and the nonce.
    function addressOf(address registry, uint256 epoch) internal pure returns (address pointer) {
        unchecked {
            if (epoch - 1 >= 0x7f) return LibRLP.computeAddress(registry, epoch);
        }
        assembly ("memory-safe") {
            mstore(0, or(or(shl(168, 0xd694), shl(8, registry)), epoch))
            pointer := shr(96, shl(96, keccak256(9, 23)))
        }
    }

    function read(address pointer) internal view returns (Settings memory x) {
        bytes memory blob = load(pointer);
        x.kind = kind(blob);
        x.paused = paused(blob);
        x.quorum = uint8(quorum(blob));
        x.modelSetIndex = uint16(modelSetIndex(blob));
        x.modelSet = modelSet(blob);
        x.timing = timing(blob);
        x.members = members(blob);
        x.classes = classes(blob);
        uint256 markets = marketCount(blob);
        (x.classOf, x.groupOf, x.ringOf) = (new bytes(markets), new bytes(markets), new bytes(markets));
        for (uint256 i = 0; i < markets; ++i) {
            uint256 key = keyOf(blob, i);
            x.classOf[i] = bytes1(uint8(classIn(key)));
            x.groupOf[i] = bytes1(uint8(groupIn(key)));
            x.ringOf[i] = bytes1(uint8(ringIn(key)));
        }
    }

    // --- the blob in memory, without unpacking it: what the write path uses ---

    /// @notice Whether these settings take a publication of this kind, time and size; its signatures are another matter.
    /// @dev One branch for what would be ten: every condition that fails leaves a bit. Who refuses asks again, in order.
    /// In assembly because Solidity joins conditions only by branches. Nothing overflows: a length is a calldata's.
    /// @param wordsEach How many words there are of each market.
    /// @return taken Whether they do. @return end The market after the last.
    function takes(
        bytes memory blob,
        ReportKind kind_,
        uint256 observedAt,
        uint256 firstMarket,
        uint256 memberBitmap,
        uint256 rvsLength,
        uint256 wordsLength,
        uint256 wordsEach
    ) internal view returns (bool taken, uint256 end) {
        assembly ("memory-safe") {
            let settings := mload(add(blob, 32))
            let needed := and(settings, 0xff)
            let markets := div(wordsLength, wordsEach)
            end := add(firstMarket, markets)
            let wrong := xor(and(shr(56, settings), 1), kind_)
            wrong := or(wrong, iszero(needed))
            wrong := or(wrong, xor(rvsLength, shl(1, needed)))
            wrong := or(wrong, shr(and(shr(8, settings), 0xff), memberBitmap))
            wrong := or(wrong, iszero(markets))
            wrong := or(wrong, xor(mul(markets, wordsEach), wordsLength))
            wrong := or(wrong, gt(end, and(shr(24, settings), 0xffff)))
            wrong := or(wrong, gt(observedAt, add(timestamp(), and(shr(64, settings), 0xffffffff))))
            wrong := or(wrong, lt(add(observedAt, and(shr(96, settings), 0xffffffff)), timestamp()))
            taken := iszero(wrong)
        }
    }

    function load(address pointer) internal view returns (bytes memory) {
        return SSTORE2.read(pointer);
    }

    function quorum(bytes memory blob) internal pure returns (uint256) {
        return _header(blob) & 0xff;
    }

    function memberCount(bytes memory blob) internal pure returns (uint256) {
        return _header(blob) >> 8 & 0xff;
    }

    function marketCount(bytes memory blob) internal pure returns (uint256) {
        return _header(blob) >> 24 & 0xffff;
    }

    function modelSetIndex(bytes memory blob) internal pure returns (uint256) {
        return _header(blob) >> 40 & 0xffff;
    }

    function kind(bytes memory blob) internal pure returns (ReportKind) {
        return ReportKind(_header(blob) >> 56 & 1);
    }

    function paused(bytes memory blob) internal pure returns (bool) {
        return _header(blob) >> 57 & 1 != 0;
    }

    function timing(bytes memory blob) internal pure returns (Timing memory) {
        return Timing(uint32(maxSkew(blob)), uint32(maxReportAge(blob)), uint32(minInterval(blob)));
    }

    function maxSkew(bytes memory blob) internal pure returns (uint256) {
        return _header(blob) >> 64 & type(uint32).max;
    }

    function maxReportAge(bytes memory blob) internal pure returns (uint256) {
        return _header(blob) >> 96 & type(uint32).max;
    }

    function minInterval(bytes memory blob) internal pure returns (uint256) {
        return _header(blob) >> 128 & type(uint32).max;
    }

    function modelSet(bytes memory blob) internal pure returns (bytes32) {
        return bytes32(_word(blob, 32));
    }

    function digest(bytes memory blob) internal pure returns (bytes32) {
        return bytes32(_word(blob, 64));
    }

    function member(bytes memory blob, uint256 index) internal pure returns (address) {
        unchecked {
            return address(uint160(_word(blob, HEADER_BYTES + 32 * index)));
        }
    }

    /// @notice Where in memory the members begin, one word each.
    function membersOf(bytes memory blob) internal pure returns (uint256 first) {
        assembly ("memory-safe") {
            first := add(add(blob, 32), HEADER_BYTES)
        }
    }

    function members(bytes memory blob) internal pure returns (address[] memory all) {
        all = new address[](memberCount(blob));
        for (uint256 i = 0; i < all.length; ++i) {
            all[i] = member(blob, i);
        }
    }

    /// @notice Class, group and ring of a market as one value; markets with the same key are treated alike.
    function keyOf(bytes memory blob, uint256 market) internal pure returns (uint256) {
        return maskedKeyAt(keyPlace(blob, market)) >> 232;
    }

    /// @notice Where in memory a market's key lies; the next market's is `MARKET_BYTES` behind it.
    function keyPlace(bytes memory blob, uint256 market) internal pure returns (uint256) {
        unchecked {
            return limitsOf(blob, _header(blob) >> 16 & 0xff) + MARKET_BYTES * market;
        }
    }

    /// @notice The key at a place in memory, left in the top bits of the word.
    function maskedKeyAt(uint256 place) internal pure returns (uint256 key) {
        assembly ("memory-safe") {
            key := and(mload(place), KEY_MASK)
        }
    }

    function classIn(uint256 key) internal pure returns (uint256) {
        return key >> 16;
    }

    function groupIn(uint256 key) internal pure returns (uint256) {
        return key >> 8 & 0xff;
    }

    function ringIn(uint256 key) internal pure returns (uint256) {
        return key & 0xff;
    }

    /// @notice All classes, each a view into the blob.
    function classes(bytes memory blob) internal pure returns (Limits[] memory all) {
        unchecked {
            uint256 count = _header(blob) >> 16 & 0xff;
            uint256 place = limitsOf(blob, 0);
            assembly ("memory-safe") {
                all := mload(0x40) // an array of structs is an array of where they lie
                mstore(all, count)
                let end := add(all, shl(5, add(count, 1)))
                mstore(0x40, end)
                for { let out := add(all, 32) } lt(out, end) { out := add(out, 32) } {
                    mstore(out, place)
                    place := add(place, CLASS_BYTES)
                }
            }
        }
    }

    /// @notice The limits of a class, the only element of an array: a view into the blob, because an array of structs is
    /// an array of where they lie, and a struct that a function returns would be allocated first.
    function class(bytes memory blob, uint256 index) internal pure returns (Limits[] memory one) {
        uint256 place = limitsOf(blob, index);
        assembly ("memory-safe") {
            one := mload(0x40)
            mstore(0x40, add(one, 64))
            mstore(one, 1)
            mstore(add(one, 32), place)
        }
    }

    /// @notice Where in memory the limits of a class lie.
    function limitsOf(bytes memory blob, uint256 index) internal pure returns (uint256 place) {
        unchecked {
            return membersOf(blob) + 32 * memberCount(blob) + CLASS_BYTES * index;
        }
    }

    function _header(bytes memory blob) private pure returns (uint256) {
        return _word(blob, 0);
    }

    function _word(bytes memory blob, uint256 offset) private pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := mload(add(add(blob, 32), offset))
        }
    }
}
