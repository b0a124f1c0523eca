// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {FixedPointMathLib as Math} from "solady/utils/FixedPointMathLib.sol";
import {IClearinghouse} from "../interfaces/IClearinghouse.sol";
import {IRiskOracle} from "../interfaces/IRiskOracle.sol";
import {Leg} from "../margin/Leg.sol";
import {LANE_MAX, LIQUIDITY_SHIFT, PRICE_SHIFT} from "../oracle/Lanes.sol";

/// @title Dutch auctions of accounts below maintenance, and of collateral whose owner is short of cash at expiry.
/// @notice An account below maintenance is flagged; after a grace in which its owner may act, or at once when its
/// equity is far below, anyone takes over a share of it. A share of the positions and tokens moves at the oracle's mark
/// less a discount. The discount begins at what closing the positions costs by the oracle's liquidity lane, and grows
/// by the same again with every step of time, until somebody finds it worth while. A bid takes no more than restores
/// initial margin and a buffer. Part of the discount goes to the insurance fund; where the account's equity does not
/// reach, the fund pays.
/// @dev Only fresh figures liquidate: aging ones are raised by the oracle out of caution, and a guard must not be a
/// weapon. A market or token without fresh figures is left where it is, asks for no margin and counts at its last good
/// price; so a position in a market that stopped protects nobody from being liquidated for the others.
contract LiquidationAuctions is AccessManaged {
    using Leg for uint256;

    uint256 private constant PAR_BP = 10_000;
    uint256 private constant WHOLE = 1e18;
    /// @notice Collateral is offered this far above its last good price at first.
    uint256 public constant SALE_START_BP = 10_500;
    /// @notice From the final price of the expiry on, the offer falls to nothing over this time.
    uint256 public constant SALE_PERIOD = 4 hours;

    struct AuctionRules {
        uint32 graceS; // from the flag to the auction
        uint32 stepS; // time in which the discount grows by the cost of closing
        uint32 lifeS; // from the start of the auction until the flag lapses
        uint16 urgentBp; // of maintenance: with less equity there is no grace
        uint16 bufferBp; // beyond initial margin
        uint16 insuranceBp; // of the discount
        uint16 leastCostBp; // of maintenance, where the cost of closing is less
    }

    /// @notice An account as a liquidation sees it, in dollars.
    struct Distress {
        int256 equity; // at last good prices, tokens after haircut
        uint256 initial; // of markets with fresh figures
        uint256 maintenance; // the same
        int256 taken; // mark of what would be taken over, tokens in full
        uint256 haircuts; // by which those tokens count less in equity
        uint256 cost; // of closing the positions
        uint256 cash;
        uint16[] markets; // that would be taken over
        uint16 tokens; // the same, a bit each
    }

    error Healthy(int256 equity, uint256 maintenance);
    error BelowMaintenance(int256 equity, uint256 maintenance);
    error AlreadyFlagged(uint256 startsAt);
    error NotFlagged(address account);
    error AuctionNotOpen(uint256 startsAt, uint256 lapsesAt, uint256 nowS);
    error NothingToTake(uint256 wanted, uint256 most);
    error TooLittle(int256 cash, int256 least);
    error TooMuch(uint256 payment, uint256 most);
    error SelfBid(address account);
    error NotShort(uint256 cash, int256 net);
    error SaleOver(uint256 endsAt, uint256 nowS);
    error RuleOutOfRange(uint256 value, uint256 most);

    IClearinghouse public immutable house;
    AuctionRules public rules = AuctionRules({
        graceS: 30 minutes,
        stepS: 2 minutes,
        lifeS: 1 days,
        urgentBp: 7000,
        bufferBp: 500,
        insuranceBp: 1000,
        leastCostBp: 100
    });
    /// @notice When the auction of a flagged account starts; zero: not flagged.
    mapping(address account => uint256) public startsAt;

    event RulesChanged(AuctionRules before, AuctionRules afterwards);
    event Flagged(address indexed account, int256 equity, uint256 maintenance, uint256 startsAt, address by);
    event Unflagged(address indexed account, int256 equity, uint256 maintenance);
    /// @notice `cash` is what the bidder received, negative when it paid.
    event Bid(address indexed account, address indexed bidder, uint256 share, int256 cash, uint256 discount);

    constructor(address authority, IClearinghouse house_) AccessManaged(authority) {
        house = house_;
    }

    /// @notice Change the rules of auctions, for those that run too.
    function setRules(AuctionRules calldata r) external restricted {
        _requireAtMost(r.graceS, 1 days);
        _requireAtMost(r.stepS, 1 hours);
        _requireAtMost(1, r.stepS);
        _requireAtMost(r.lifeS, 7 days);
        _requireAtMost(r.urgentBp, PAR_BP);
        _requireAtMost(r.bufferBp, PAR_BP);
        _requireAtMost(r.insuranceBp, PAR_BP / 2);
        _requireAtMost(1, r.leastCostBp);
        _requireAtMost(r.leastCostBp, PAR_BP);
        emit RulesChanged(rules, r);
        rules = r;
    }

    // --- the flag ---------------------------------------------------------------------------------------------------

    /// @notice Say that an account is below maintenance. Said again when it has fallen far below, it ends the grace.
    function flag(address account) external {
        Distress memory d = distressOf(account);
        if (d.equity >= int256(d.maintenance)) revert Healthy(d.equity, d.maintenance);
        bool urgent = d.equity < int256(d.maintenance * rules.urgentBp / PAR_BP);
        uint256 start = urgent ? block.timestamp : block.timestamp + rules.graceS;
        uint256 before = startsAt[account];
        if (before != 0 && before <= start && block.timestamp <= before + rules.lifeS) revert AlreadyFlagged(before);
        startsAt[account] = start;
        emit Flagged(account, d.equity, d.maintenance, start, msg.sender);
    }

    /// @notice Take the flag from an account that is at maintenance again.
    function unflag(address account) external {
        if (startsAt[account] == 0) revert NotFlagged(account);
        Distress memory d = distressOf(account);
        if (d.equity < int256(d.maintenance)) revert BelowMaintenance(d.equity, d.maintenance);
        delete startsAt[account];
        emit Unflagged(account, d.equity, d.maintenance);
    }

    // --- accounts ---------------------------------------------------------------------------------------------------

    /// @notice Take over a share of a flagged account, at most what it needs.
    /// @param share Wanted, 18 decimals.
    /// @param leastCash Least dollars to receive for the whole of `share`, negative to pay; pro rata when less is
    /// taken.
    /// @return taken The share that was taken over.
    /// @return cash Dollars received, negative when paid.
    function bid(address account, uint256 share, int256 leastCash) external returns (uint256 taken, int256 cash) {
        if (account == msg.sender) revert SelfBid(account);
        Distress memory d = distressOf(account);
        if (d.equity >= int256(d.maintenance)) revert Healthy(d.equity, d.maintenance);
        uint256 discount = _discount(d, _elapsed(account));
        uint256 most = _needed(d, discount);
        taken = share < most ? share : most;
        IClearinghouse.TakeOver memory t = _terms(account, d, discount, taken);
        if (t.share == 0) revert NothingToTake(share, most);
        taken = t.share;
        cash = int256(t.toBidder + t.fromInsurance) - int256(t.fromBidder + t.toInsurance);
        int256 least = _pro(leastCash, taken, share);
        if (cash < least) revert TooLittle(cash, least);
        if (taken == most) delete startsAt[account];
        house.takeOver(t);
        emit Bid(account, msg.sender, taken, cash, discount);
    }

    /// @notice What a bid for a whole flagged account would be now.
    /// @return d The account.
    /// @return discount From the mark, for all of it.
    /// @return most The share that may be taken.
    function quote(address account) external view returns (Distress memory d, uint256 discount, uint256 most) {
        d = distressOf(account);
        discount = _discount(d, _elapsed(account));
        most = _needed(d, discount);
    }

    /// @notice An account as a liquidation sees it.
    function distressOf(address account) public view returns (Distress memory d) {
        d.cash = house.cashOf(account);
        d.equity = int256(d.cash + house.claimsOf(account));
        _addTokens(d, account);
        _addMarkets(d, account);
        uint256 leastCost = Math.mulDivUp(d.maintenance, rules.leastCostBp, PAR_BP);
        if (d.cost < leastCost) d.cost = leastCost;
    }

    // --- collateral of those short of cash --------------------------------------------------------------------------

    /// @notice Buy tokens of an account that owes more at an expiry than its cash; no more than brings what is missing.
    /// @param amount Tokens wanted.
    /// @param mostPayment Most dollars to pay for all of `amount`; pro rata when less is sold.
    function buyCollateral(
        address account,
        uint16 market,
        uint40 expiry,
        uint8 token,
        uint256 amount,
        uint256 mostPayment
    ) external returns (uint256 bought, uint256 payment) {
        if (account == msg.sender) revert SelfBid(account);
        int256 net = house.netPayoff(account, market, expiry);
        uint256 cash = house.cashOf(account);
        if (net + int256(cash) >= 0) revert NotShort(cash, net);
        IClearinghouse.Holding memory h = house.holdingOf(account, token);
        (, uint256 finalAt) = house.prices().finalPrice(market, expiry);
        uint256 whole = _askedUp(h.full, finalAt);
        if (amount == 0 || amount > h.amount) revert NothingToTake(amount, h.amount);
        (bought, payment) = (amount, Math.fullMulDivUp(whole, amount, h.amount));
        uint256 missing = uint256(-net) - cash;
        if (payment > missing) (bought, payment) = (Math.fullMulDiv(h.amount, missing, whole), missing);
        mostPayment = Math.fullMulDiv(mostPayment, bought, amount);
        if (payment > mostPayment) revert TooMuch(payment, mostPayment);
        house.sellCollateral(account, msg.sender, token, bought, payment);
    }

    /// @return What is asked for a holding worth `full` at the last good price. It needs no fresh price: it begins
    /// above and falls to nothing.
    function _askedUp(uint256 full, uint256 finalAt) private view returns (uint256) {
        uint256 end = finalAt + SALE_PERIOD;
        if (block.timestamp >= end) revert SaleOver(end, block.timestamp);
        return Math.mulDivUp(full * SALE_START_BP, end - block.timestamp, PAR_BP * SALE_PERIOD);
    }

    // --- the terms --------------------------------------------------------------------------------------------------

    function _elapsed(address account) private view returns (uint256) {
        uint256 start = startsAt[account];
        if (start == 0) revert NotFlagged(account);
        uint256 end = start + rules.lifeS;
        if (block.timestamp < start || block.timestamp > end) revert AuctionNotOpen(start, end, block.timestamp);
        return block.timestamp - start;
    }

    /// @dev A solvent account pays the discount from its equity: it cannot be more. Only where equity is below the cost
    /// of closing does the fund add to it, or an owner could wait and be paid by the fund through a second account.
    function _discount(Distress memory d, uint256 elapsed) private view returns (uint256 discount) {
        discount = d.cost + d.cost * elapsed / rules.stepS;
        uint256 most = d.maintenance;
        if (d.equity > int256(d.cost)) most = uint256(d.equity);
        else if (d.equity > 0) most = d.cost;
        if (discount > most) discount = most;
    }

    /// @return The share that restores initial margin and the buffer: a share s leaves equity − s·(discount − haircuts)
    /// against (1 − s) of the requirement.
    function _needed(Distress memory d, uint256 discount) private view returns (uint256) {
        int256 target = int256(Math.mulDivUp(d.initial, PAR_BP + rules.bufferBp, PAR_BP));
        int256 missing = target - d.equity;
        int256 relief = target - int256(discount) + int256(d.haircuts);
        if (relief <= missing) return WHOLE;
        return Math.fullMulDivUp(uint256(missing), WHOLE, uint256(relief));
    }

    function _terms(address account, Distress memory d, uint256 discount, uint256 share)
        private
        view
        returns (IClearinghouse.TakeOver memory t)
    {
        int256 owed = int256(discount) - d.taken; // to whoever takes all of it
        bool solvent = d.equity >= int256(discount);
        // What is not cash cannot pay: claims that wait, markets that are left behind.
        if (solvent && owed > 0) share = Math.min(share, Math.fullMulDiv(d.cash, WHOLE, uint256(owed)));
        (t.from, t.to, t.share, t.markets, t.tokens) = (account, msg.sender, share, d.markets, d.tokens);
        if (owed < 0) {
            t.fromBidder = Math.fullMulDivUp(uint256(-owed), share, WHOLE);
        } else {
            uint256 due = Math.fullMulDiv(uint256(owed), share, WHOLE);
            t.toBidder = solvent ? due : Math.min(due, Math.fullMulDiv(d.cash, share, WHOLE));
            t.fromInsurance = Math.min(due - t.toBidder, house.cashOf(house.insurance()));
        }
        if (solvent) t.toInsurance = Math.fullMulDiv(discount * rules.insuranceBp / PAR_BP, share, WHOLE);
    }

    function _pro(int256 whole, uint256 part, uint256 outOf) private pure returns (int256) {
        unchecked {
            // Also of the lowest number, which has no positive one.
            if (whole < 0) return -int256(Math.fullMulDivUp(uint256(-whole), part, outOf));
            return int256(Math.fullMulDiv(uint256(whole), part, outOf));
        }
    }

    // --- the account ------------------------------------------------------------------------------------------------

    function _addTokens(Distress memory d, address account) private view {
        uint256 held = house.tokensOf(account);
        for (uint256 i = 1; held >> i != 0; ++i) {
            if (held >> i & 1 == 0) continue;
            IClearinghouse.Holding memory h = house.holdingOf(account, uint8(i));
            d.equity += int256(h.counted);
            if (h.status != IRiskOracle.Status.FRESH) continue;
            d.taken += int256(h.full);
            d.haircuts += h.full - h.counted;
            d.tokens |= uint16(1 << h.token);
        }
    }

    function _addMarkets(Distress memory d, address account) private view {
        uint16[] memory markets = house.marketsOf(account);
        uint256 multiplierBp = house.multiplierOf(account);
        uint256 n = 0;
        for (uint256 i = 0; i < markets.length; ++i) {
            uint16 market = markets[i];
            (uint256 initial, uint256 maintenance, int256 value, IRiskOracle.Status status) =
                house.requirementAt(account, market, multiplierBp);
            d.equity += value;
            if (status != IRiskOracle.Status.FRESH) continue;
            d.initial += initial;
            d.maintenance += maintenance;
            d.taken += value;
            d.cost += _closingCost(account, market);
            markets[n++] = market;
        }
        assembly ("memory-safe") {
            mstore(markets, n)
        }
        d.markets = markets;
    }

    /// @return Dollars: contracts held and written, times price, times the liquidity lane; rounded up.
    function _closingCost(address account, uint16 market) private view returns (uint256) {
        (uint256 risk, uint256 words,,) = house.oracle().effective(market);
        uint256[] memory legs = house.legsOf(account, market);
        uint256 contracts = 0;
        for (uint256 i = 0; i < legs.length; ++i) {
            contracts += Math.abs(int256(legs[i].quantity()));
        }
        return Math.mulDivUp(contracts * (words >> PRICE_SHIFT), risk >> LIQUIDITY_SHIFT & LANE_MAX, 1e8 * PAR_BP);
    }

    function _requireAtMost(uint256 value, uint256 most) private pure {
        if (value > most) revert RuleOutOfRange(value, most);
    }
}
