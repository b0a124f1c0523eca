// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {IRiskOracle} from "../interfaces/IRiskOracle.sol";
import {ISettlementPrices} from "../interfaces/ISettlementPrices.sol";
import {PRICE_SHIFT, STAMP_MAX, STAMP_SHIFT} from "../oracle/Lanes.sol";

/// @title At which price each expiry of each market settles.
/// @notice Anyone proposes the oracle's price, observed at or after the expiry. The guardian may dispute it until a
/// delay is over; then a later observation must be proposed. What nobody disputed in time is final.
/// @dev Nobody can choose a price: whoever proposes or disputes only decides which of the quorum's observations it is.
contract SettlementPrices is ISettlementPrices, AccessManaged {
    /// @notice So that disputes delay a settlement and cannot prevent it.
    uint256 public constant MOST_DISPUTES = 3;
    uint256 public constant LEAST_DELAY = 5 minutes;
    uint256 public constant LONGEST_DELAY = 3 days;

    struct Proposal {
        uint64 price; // 8 decimals; zero: none
        uint40 finalAt;
        uint32 observedAt; // of the price, or of the last one disputed
        uint8 disputes;
    }

    error NoUsablePrice(uint256 observedAt, uint256 neededAfter, IRiskOracle.Status status);
    error AlreadyProposed(uint256 price, uint256 finalAt);
    error NotProposed(uint16 market, uint256 expiry);
    error AlreadyFinal(uint256 finalAt, uint256 nowS);
    error TooManyDisputes(uint256 wanted, uint256 most);
    error DelayOutOfRange(uint256 delay, uint256 least, uint256 most);

    IRiskOracle public immutable oracle;
    /// @notice Seconds between a proposal and its being final.
    uint256 public delay = 1 hours;
    mapping(uint16 market => mapping(uint40 expiry => Proposal)) private _proposals;

    event DelayChanged(uint256 before, uint256 afterwards);
    event Proposed(
        uint16 indexed market, uint40 indexed expiry, uint256 price, uint256 observedAt, uint256 finalAt, address by
    );
    event Disputed(uint16 indexed market, uint40 indexed expiry, uint256 price, address by);

    constructor(address authority, IRiskOracle oracle_) AccessManaged(authority) {
        oracle = oracle_;
    }

    /// @notice Change the delay; proposals already made keep theirs.
    function setDelay(uint256 delay_) external restricted {
        if (delay_ < LEAST_DELAY || delay_ > LONGEST_DELAY) revert DelayOutOfRange(delay_, LEAST_DELAY, LONGEST_DELAY);
        emit DelayChanged(delay, delay_);
        delay = delay_;
    }

    /// @notice Propose the oracle's present price, if it was observed at or after the expiry and after any disputed
    /// one.
    function propose(uint16 market, uint40 expiry) external {
        Proposal storage p = _proposals[market][expiry];
        if (p.price != 0) revert AlreadyProposed(p.price, p.finalAt);
        (, uint256 words,, IRiskOracle.Status status) = oracle.read(market);
        uint256 observedAt = words >> STAMP_SHIFT & STAMP_MAX;
        // Expiries beyond the stamp's 32 bits are never reached.
        uint256 neededAfter = p.observedAt != 0 ? p.observedAt : uint256(expiry) - 1;
        bool usable = status == IRiskOracle.Status.FRESH || status == IRiskOracle.Status.AGING;
        if (!usable || observedAt <= neededAfter) revert NoUsablePrice(observedAt, neededAfter, status);
        p.price = uint64(words >> PRICE_SHIFT);
        p.observedAt = uint32(observedAt);
        p.finalAt = uint40(block.timestamp + delay);
        emit Proposed(market, expiry, p.price, observedAt, p.finalAt, msg.sender);
    }

    /// @notice Refuse a proposed price while it is not final; a later observation takes its place.
    function dispute(uint16 market, uint40 expiry) external restricted {
        Proposal storage p = _proposals[market][expiry];
        if (p.price == 0) revert NotProposed(market, expiry);
        if (block.timestamp >= p.finalAt) revert AlreadyFinal(p.finalAt, block.timestamp);
        if (p.disputes == MOST_DISPUTES) revert TooManyDisputes(p.disputes + 1, MOST_DISPUTES);
        emit Disputed(market, expiry, p.price, msg.sender);
        (p.price, p.finalAt) = (0, 0);
        p.disputes += 1;
    }

    /// @notice What was proposed and disputed of an expiry so far.
    function proposalOf(uint16 market, uint40 expiry) external view returns (Proposal memory) {
        return _proposals[market][expiry];
    }

    /// @inheritdoc ISettlementPrices
    function finalPrice(uint16 market, uint40 expiry) external view returns (uint256 price, uint256 finalAt) {
        Proposal storage p = _proposals[market][expiry];
        (price, finalAt) = (p.price, p.finalAt);
        if (price == 0 || block.timestamp < finalAt) return (0, 0);
    }
}
