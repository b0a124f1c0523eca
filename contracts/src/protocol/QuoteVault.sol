// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {ERC20} from "solady/tokens/ERC20.sol";
import {FixedPointMathLib as Math} from "solady/utils/FixedPointMathLib.sol";
import {SafeTransferLib} from "solady/utils/SafeTransferLib.sol";
import {SignatureCheckerLib} from "solady/utils/SignatureCheckerLib.sol";
import {IClearinghouse} from "../interfaces/IClearinghouse.sol";
import {IRiskOracle} from "../interfaces/IRiskOracle.sol";
import {LANE_MAX, LIQUIDITY_SHIFT, PRICE_SHIFT} from "../oracle/Lanes.sol";
import {Delta} from "./Delta.sol";
import {Dollars} from "./Dollars.sol";
import {OrderDesk} from "./OrderDesk.sol";
import {Series} from "./Series.sol";

/// @title A vault that makes markets in options with its depositors' dollars.
/// @notice It is an account of the clearinghouse like any other, and a maker whose signature is this contract's word
/// (ERC-1271): an order of the vault is good if its quoter signed it, or, unsigned, if it keeps a wider distance from
/// the mark of the published surface. Both only on fresh figures, within a size an order and a delta a market.
/// Depositors hold shares of the account's equity at the mark.
/// @dev Shares count virtual ones, so that the first depositor gains nothing from a donation. Entering and leaving
/// within a lock, or around a new mark, is paid for by an exit fee that stays.
contract QuoteVault is ERC20, AccessManaged, ReentrancyGuardTransient {
    using SafeTransferLib for address;
    using Series for uint256;

    uint256 private constant PAR_BP = 10_000;
    uint256 private constant VIRTUAL_SHARES = 1e3;
    int64 private constant CONTRACT = 1e6;

    struct VaultRules {
        uint16 signedSpreadBp; // least distance from the mark, of the mark, where the quoter signed
        uint16 openSpreadBp; // the same where nobody did
        uint16 exitFeeBp; // of what is redeemed
        uint32 lockS; // from a deposit to the first redemption
        uint32 leastLifeS; // no quotes for series closer to their expiry
    }

    struct MarketQuotes {
        uint64 mostSize; // contracts an order, 6 decimals; zero: no quotes
        uint64 mostDelta; // contracts, either way
    }

    error NotOurOrder(address maker, bytes32 digest, bytes32 signed);
    error NotQuoted(uint16 market);
    error QuotesPaused();
    error MarketNotFresh(uint16 market, IRiskOracle.Status status);
    error TooCloseToExpiry(uint256 expiry, uint256 earliest);
    error OrderTooLarge(uint256 quantity, uint256 most);
    error PriceTooLow(uint256 price, uint256 ask);
    error PriceTooHigh(uint256 price, uint256 bid);
    error DeltaLimit(int256 delta, uint256 most);
    error NotQuoter(address quoter);
    error UnknownWorth();
    error Worthless(int256 equity);
    error Locked(uint256 until, uint256 nowS);
    error TooFew(uint256 got, uint256 least);
    error RuleOutOfRange(uint256 value, uint256 most);

    IClearinghouse public immutable house;
    OrderDesk public immutable desk;
    address public immutable dollar;

    VaultRules public rules =
        VaultRules({signedSpreadBp: 50, openSpreadBp: 300, exitFeeBp: 20, lockS: 1 hours, leastLifeS: 1 hours});
    /// @notice Who signs quotes for the vault; nobody when zero.
    address public quoter;
    bool public paused;
    mapping(uint16 market => MarketQuotes) public quotesIn;
    mapping(address => uint256) public lockedUntil;

    event RulesChanged(VaultRules before, VaultRules afterwards);
    event MarketQuotesChanged(uint16 indexed market, MarketQuotes before, MarketQuotes afterwards);
    event QuoterChanged(address indexed before, address indexed afterwards);
    event PausedChanged(bool paused);
    event Entered(address indexed owner, uint256 assets, uint256 shares);
    event Left(address indexed owner, uint256 assets, uint256 shares);

    constructor(address authority, IClearinghouse house_, OrderDesk desk_) AccessManaged(authority) {
        (house, desk, dollar) = (house_, desk_, house_.dollar());
        dollar.safeApproveWithRetry(address(house_), type(uint256).max);
    }

    function name() public pure override returns (string memory) {
        return "Margrave Quote Vault";
    }

    function symbol() public pure override returns (string memory) {
        return "mQUOTE";
    }

    /// @notice Three more than the dollar's, by the virtual shares.
    function decimals() public pure override returns (uint8) {
        return 9;
    }

    // --- governance -------------------------------------------------------------------------------------------------

    function setRules(VaultRules calldata r) external restricted {
        _requireAtMost(r.openSpreadBp, PAR_BP);
        _requireAtMost(r.signedSpreadBp, r.openSpreadBp);
        _requireAtMost(r.exitFeeBp, 500);
        _requireAtMost(r.lockS, 30 days);
        emit RulesChanged(rules, r);
        rules = r;
    }

    function setMarketQuotes(uint16 market, MarketQuotes calldata q) external restricted {
        emit MarketQuotesChanged(market, quotesIn[market], q);
        quotesIn[market] = q;
    }

    function setQuoter(address quoter_) external restricted {
        emit QuoterChanged(quoter, quoter_);
        quoter = quoter_;
    }

    /// @notice Let the vault quote again.
    function unpause() external restricted {
        _setPaused(false);
    }

    /// @notice The guardian's: no new quotes. Depositors may leave.
    function pause() external restricted {
        _setPaused(true);
    }

    /// @notice Void the quoter's orders with a lower salt.
    function voidBelow(uint256 salt) external {
        if (msg.sender != quoter) revert NotQuoter(msg.sender);
        desk.cancelBelow(salt);
    }

    // --- depositors -------------------------------------------------------------------------------------------------

    /// @notice Bring dollars for shares at today's mark; they may be redeemed after the lock.
    function deposit(uint256 assets, uint256 leastShares) external nonReentrant returns (uint256 shares) {
        uint256 equity = _equity();
        uint256 before = house.cashOf(address(this));
        dollar.safeTransferFrom(msg.sender, address(this), assets);
        house.deposit(dollar, dollar.balanceOf(address(this)));
        assets = house.cashOf(address(this)) - before;
        shares = Math.fullMulDiv(assets, totalSupply() + VIRTUAL_SHARES, equity + 1);
        if (shares < leastShares || shares == 0) revert TooFew(shares, leastShares);
        lockedUntil[msg.sender] = block.timestamp + rules.lockS;
        _mint(msg.sender, shares);
        emit Entered(msg.sender, assets, shares);
    }

    /// @notice Take out shares' part of the equity, less the exit fee. It is refused while the vault needs the money as
    /// initial margin, or has not got it in cash.
    function redeem(uint256 shares, uint256 leastAssets) external nonReentrant returns (uint256 assets) {
        if (block.timestamp < lockedUntil[msg.sender]) revert Locked(lockedUntil[msg.sender], block.timestamp);
        assets = Math.fullMulDiv(shares, _equity() + 1, totalSupply() + VIRTUAL_SHARES);
        assets = assets * (PAR_BP - rules.exitFeeBp) / PAR_BP;
        if (assets < leastAssets) revert TooFew(assets, leastAssets);
        _burn(msg.sender, shares);
        house.withdraw(dollar, assets);
        dollar.safeTransfer(msg.sender, assets);
        emit Left(msg.sender, assets, shares);
    }

    /// @notice Dollars that the shares are worth together, at the mark.
    function totalAssets() external view returns (uint256) {
        return _equity();
    }

    // --- quotes -----------------------------------------------------------------------------------------------------

    /// @notice ERC-1271: whether an order is the vault's.
    /// @param hash The order's digest.
    /// @param signature The order, and the quoter's signature of it or nothing, ABI-encoded.
    /// @dev Reverts with the reason where it is not, which a caller takes for no.
    function isValidSignature(bytes32 hash, bytes calldata signature) external view returns (bytes4) {
        (OrderDesk.Order memory order, bytes memory signed) = abi.decode(signature, (OrderDesk.Order, bytes));
        bytes32 digest = desk.orderDigest(order);
        if (order.maker != address(this) || digest != hash) revert NotOurOrder(order.maker, digest, hash);
        if (signed.length != 0 && !SignatureCheckerLib.isValidSignatureNow(quoter, digest, signed)) {
            revert NotQuoter(quoter);
        }
        _requireQuotable(order, signed.length != 0 ? rules.signedSpreadBp : rules.openSpreadBp);
        return this.isValidSignature.selector;
    }

    /// @notice What the vault pays and asks for one contract of a series when nobody signed, dollars with 6 decimals.
    function quote(uint256 series) external view returns (uint256 bid, uint256 ask) {
        return _quote(series, rules.openSpreadBp);
    }

    /// @notice Contracts that the vault's book in a market moves like, 6 decimals.
    function deltaIn(uint16 market) external view returns (int256) {
        (, uint256 words,,) = house.oracle().read(market);
        return Delta.ofLegs(words, house.legsOf(address(this), market), block.timestamp);
    }

    function _requireQuotable(OrderDesk.Order memory order, uint256 spreadBp) private view {
        uint16 market = order.series.market();
        MarketQuotes memory q = quotesIn[market];
        if (paused) revert QuotesPaused();
        if (q.mostSize == 0) revert NotQuoted(market);
        uint256 earliest = block.timestamp + rules.leastLifeS;
        if (order.series.expiry() < earliest) revert TooCloseToExpiry(order.series.expiry(), earliest);
        uint256 size = Math.abs(order.quantity);
        if (size > q.mostSize) revert OrderTooLarge(size, q.mostSize);
        (uint256 bid, uint256 ask) = _quote(order.series, spreadBp);
        if (order.quantity > 0 && order.price > bid) revert PriceTooHigh(order.price, bid);
        if (order.quantity < 0 && order.price < ask) revert PriceTooLow(order.price, ask);
        _requireDelta(order, market, q.mostDelta);
    }

    /// @dev Beyond the limit only what brings the book nearer to it.
    function _requireDelta(OrderDesk.Order memory order, uint16 market, uint256 most) private view {
        (, uint256 words,, IRiskOracle.Status status) = house.oracle().read(market);
        if (status != IRiskOracle.Status.FRESH) revert MarketNotFresh(market, status);
        int256 before = Delta.ofLegs(words, house.legsOf(address(this), market), block.timestamp);
        uint256[] memory leg = new uint256[](1);
        leg[0] = order.series.leg(int64(order.quantity));
        int256 delta = before + Delta.ofLegs(words, leg, block.timestamp);
        if (Math.abs(delta) > most && Math.abs(delta) >= Math.abs(before)) revert DeltaLimit(delta, most);
    }

    /// @dev The distance from the mark is a share of it, and what closing costs by the oracle's liquidity lane.
    function _quote(uint256 series, uint256 spreadBp) private view returns (uint256 bid, uint256 ask) {
        uint16 market = series.market();
        uint256[] memory legs = new uint256[](1);
        legs[0] = series.leg(CONTRACT);
        int256 mark = house.engine().requirement(market, legs, PAR_BP).value;
        uint256 wad = mark > 0 ? uint256(mark) : 0;
        (uint256 risk, uint256 words,,) = house.oracle().effective(market);
        uint256 closing = (words >> PRICE_SHIFT) * 1e10 * (risk >> LIQUIDITY_SHIFT & LANE_MAX) / PAR_BP;
        uint256 distance = Math.mulDivUp(wad, spreadBp, PAR_BP) + closing;
        ask = Dollars.fromWadUp(wad + distance);
        bid = wad > distance ? uint256(Dollars.fromWadDown(int256(wad - distance))) : 0;
    }

    // --- worth ------------------------------------------------------------------------------------------------------

    /// @dev Nobody enters or leaves at a mark that cannot be relied on.
    function _equity() private view returns (uint256) {
        IClearinghouse.Health memory h = house.health(address(this));
        if (!h.usable) revert UnknownWorth();
        int256 equity = int256(h.cash + h.claims + h.collateral) + h.value;
        if (equity < 0) revert Worthless(equity);
        return uint256(equity);
    }

    function _beforeTokenTransfer(address from, address, uint256) internal view override {
        if (from != address(0) && block.timestamp < lockedUntil[from]) {
            revert Locked(lockedUntil[from], block.timestamp);
        }
    }

    function _setPaused(bool yes) private {
        paused = yes;
        emit PausedChanged(yes);
    }

    function _requireAtMost(uint256 value, uint256 most) private pure {
        if (value > most) revert RuleOutOfRange(value, most);
    }
}
