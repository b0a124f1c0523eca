// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {EIP712} from "solady/utils/EIP712.sol";
import {ReentrancyGuard} from "solady/utils/ReentrancyGuard.sol";
import {SafeTransferLib} from "solady/utils/SafeTransferLib.sol";
import {SignatureCheckerLib} from "solady/utils/SignatureCheckerLib.sol";
import {IRiskOracle} from "../interfaces/IRiskOracle.sol";
import "../oracle/Lanes.sol";
import {Book, Health} from "./Book.sol";
import {Series} from "./Series.sol";

/// @title A small clearinghouse for European, cash-settled options, margined by the oracle's words.
/// @notice One collateral token with 6 decimals. Makers sign orders, takers fill them. While a market that an account
/// depends on is empty, stale or halted, its risk may only shrink; adding collateral always works.
contract OptionsClearinghouse is Book, EIP712, ReentrancyGuard {
    using Series for uint256;
    using SafeTransferLib for address;

    bytes32 public constant ORDER_TYPEHASH =
        keccak256("Order(address maker,uint256 series,int256 quantity,uint128 price,uint256 deadline,uint256 salt)");
    /// @notice A liquidator keeps at most this share of the maintenance requirement it takes over.
    uint256 public constant LIQUIDATION_SHARE_BP = 2_000;

    /// @notice What a maker is willing to trade, all of it at once.
    struct Order {
        address maker;
        uint256 series;
        int256 quantity; // positive: the maker buys; 6 decimals
        uint128 price; // premium of one contract, 6 decimals
        uint256 deadline;
        uint256 salt;
    }

    address public immutable collateral;
    mapping(bytes32 order => bool) public spent;
    /// @notice Settlement price by market and expiry, 8 decimals; zero until it is fixed.
    mapping(uint16 market => mapping(uint64 expiry => uint256)) public settlementPrice;

    event Deposited(address indexed account, uint256 amount);
    event Withdrawn(address indexed account, uint256 amount);
    event Traded(
        address indexed maker, address indexed taker, uint256 indexed series, int256 makerQuantity, uint256 price
    );
    event Cancelled(address indexed maker, bytes32 order);
    event Fixed(uint16 indexed market, uint64 indexed expiry, uint256 price);
    event Settled(address indexed account, uint256 indexed series, int256 quantity, int256 paid);
    event Liquidated(address indexed account, address indexed liquidator, int256 equity, uint256 maintenance);

    error Insufficient(int256 has, uint256 needs);
    error MarketUnusable(address account);
    error OrderExpired(uint256 deadline);
    error OrderSpent(bytes32 order);
    error WrongMaker();
    error SelfTrade();
    error SeriesExpired(uint256 series);
    error NotExpired(uint256 series);
    error NoSettlementPrice(uint16 market, uint64 expiry);
    error AlreadyFixed(uint256 price);
    error Healthy(int256 equity, uint256 maintenance);

    constructor(IRiskOracle oracle_, address collateral_) Book(oracle_) {
        collateral = collateral_;
    }

    // --- collateral -------------------------------------------------------------------------------------------------

    function deposit(uint256 amount) external nonReentrant {
        _open(msg.sender).cash += int256(amount);
        collateral.safeTransferFrom(msg.sender, address(this), amount);
        emit Deposited(msg.sender, amount);
    }

    function withdraw(uint256 amount) external nonReentrant {
        if (amount > uint256(type(int256).max)) revert Insufficient(_accounts[msg.sender].cash, amount);
        _accounts[msg.sender].cash -= int256(amount);
        _requireInitial(msg.sender, _health(msg.sender));
        collateral.safeTransfer(msg.sender, amount);
        emit Withdrawn(msg.sender, amount);
    }

    // --- trading ----------------------------------------------------------------------------------------------------

    /// @notice Take the other side of a signed order.
    function fill(Order calldata order, bytes calldata signature) external nonReentrant {
        bytes32 digest = orderDigest(order);
        if (block.timestamp > order.deadline) revert OrderExpired(order.deadline);
        if (spent[digest]) revert OrderSpent(digest);
        if (!SignatureCheckerLib.isValidSignatureNowCalldata(order.maker, digest, signature)) revert WrongMaker();
        if (order.maker == msg.sender) revert SelfTrade();
        order.series.validate();
        if (order.series.expiry() <= block.timestamp) revert SeriesExpired(order.series);
        spent[digest] = true;

        Health memory maker = _health(order.maker);
        Health memory taker = _health(msg.sender);
        bool makerReduces = _reduces(order.maker, order.series, order.quantity);
        bool takerReduces = _reduces(msg.sender, order.series, -order.quantity);
        int256 premium = order.quantity * int256(uint256(order.price)) / 1e6;
        _move(order.maker, order.series, order.quantity, -premium);
        _move(msg.sender, order.series, -order.quantity, premium);
        _requireMayTrade(order.maker, maker, makerReduces);
        _requireMayTrade(msg.sender, taker, takerReduces);
        emit Traded(order.maker, msg.sender, order.series, order.quantity, order.price);
    }

    function cancel(Order calldata order) external {
        if (order.maker != msg.sender) revert WrongMaker();
        bytes32 digest = orderDigest(order);
        spent[digest] = true;
        emit Cancelled(msg.sender, digest);
    }

    function orderDigest(Order calldata order) public view returns (bytes32) {
        return _hashTypedData(keccak256(abi.encode(ORDER_TYPEHASH, order)));
    }

    function seriesId(uint16 market, uint64 expiry, uint64 strike, bool isCall) external pure returns (uint256 id) {
        id = Series.pack(market, expiry, strike, isCall);
        id.validate();
    }

    // --- after expiry -----------------------------------------------------------------------------------------------

    /// @notice Fix a settlement price: the oracle's, observed at or after the expiry, from a market in good order.
    function fixPrice(uint16 market, uint64 expiry) external {
        if (settlementPrice[market][expiry] != 0) revert AlreadyFixed(settlementPrice[market][expiry]);
        (, uint256 words,, IRiskOracle.Status status) = oracle.read(market);
        if (!_usable(status) || words >> STAMP_SHIFT & STAMP_MAX < expiry) revert NoSettlementPrice(market, expiry);
        settlementPrice[market][expiry] = words >> PRICE_SHIFT;
        emit Fixed(market, expiry, words >> PRICE_SHIFT);
    }

    /// @notice Turn an expired position into cash; anyone may do it for anyone.
    function settle(address account, uint256 series) external nonReentrant {
        if (series.expiry() > block.timestamp) revert NotExpired(series);
        int256 price = int256(settlementPrice[series.market()][series.expiry()]);
        if (price == 0) revert NoSettlementPrice(series.market(), series.expiry());
        int256 quantity = _accounts[account].quantity[series];
        if (quantity == 0) return;
        int256 strike = int256(uint256(series.strike()));
        int256 payoff = series.isCall() ? price - strike : strike - price;
        int256 paid = payoff > 0 ? _floorDiv(quantity * payoff, 1e8) : int256(0);
        _move(account, series, -quantity, paid);
        emit Settled(account, series, quantity, paid);
    }

    // --- liquidation ------------------------------------------------------------------------------------------------

    /// @notice Take over every position of an account below maintenance, with the cash that covers them. The account
    /// keeps what is left of its equity beyond the liquidator's share; the liquidator must meet initial margin after.
    function liquidate(address account) external nonReentrant {
        if (account == msg.sender) revert SelfTrade();
        Health memory h = _health(account);
        int256 equity = h.cash + h.value;
        if (!h.usable) revert MarketUnusable(account);
        if (equity >= int256(h.maintenance)) revert Healthy(equity, h.maintenance);
        int256 share = int256(h.maintenance * LIQUIDATION_SHARE_BP / 10_000);
        int256 kept = equity > share ? equity - share : int256(0);
        uint256[] memory series = _accounts[account].series;
        for (uint256 i = 0; i < series.length; ++i) {
            int256 quantity = _accounts[account].quantity[series[i]];
            _add(account, series[i], -quantity);
            _add(msg.sender, series[i], quantity);
        }
        _accounts[account].cash = kept;
        _open(msg.sender).cash += h.cash - kept;
        _requireInitial(msg.sender, _health(msg.sender));
        emit Liquidated(account, msg.sender, equity, h.maintenance);
    }

    // --- rules ------------------------------------------------------------------------------------------------------

    /// @dev Risk may grow only in good order: markets usable, cash not borrowed, equity at initial margin. Otherwise a
    /// trade must shrink a position and not leave the account worse off, so that it cannot be used to hand money away.
    function _requireMayTrade(address account, Health memory before, bool reduces) private view {
        Health memory h = _health(account);
        if (!reduces) return _requireInitial(account, h);
        if (h.usable && h.cash >= 0 && _headroom(h) >= 0) return;
        if (_headroom(h) < _headroom(before)) revert Insufficient(h.cash + h.value, h.initial);
    }

    function _requireInitial(address account, Health memory h) private pure {
        if (!h.usable) revert MarketUnusable(account);
        if (h.cash < 0) revert Insufficient(h.cash, 0);
        if (_headroom(h) < 0) revert Insufficient(h.cash + h.value, h.initial);
    }

    function _headroom(Health memory h) private pure returns (int256) {
        return h.cash + h.value - int256(h.initial);
    }

    function _reduces(address account, uint256 series, int256 quantity) private view returns (bool) {
        int256 held = _accounts[account].quantity[series];
        return held > 0 ? quantity < 0 && quantity >= -held : quantity > 0 && quantity <= -held;
    }

    function _move(address account, uint256 series, int256 quantity, int256 cash) private {
        _add(account, series, quantity);
        _accounts[account].cash += cash;
    }

    function _floorDiv(int256 x, int256 d) private pure returns (int256) {
        return x < 0 ? -((-x + d - 1) / d) : x / d;
    }

    function _domainNameAndVersion() internal pure override returns (string memory, string memory) {
        return ("Margrave Clearinghouse", "1");
    }
}
