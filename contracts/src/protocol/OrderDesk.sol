// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {EIP712} from "solady/utils/EIP712.sol";
import {SignatureCheckerLib} from "solady/utils/SignatureCheckerLib.sol";
import {IClearinghouse} from "../interfaces/IClearinghouse.sol";
import {Series} from "./Series.sol";

/// @title Signed orders of the clearinghouse.
/// @notice A maker signs an order: an account's key, or a contract by ERC-1271. Whoever wants the other side fills it,
/// in part or whole; or signs an order too, and anyone relays both. The desk keeps what is filled and cancelled, the
/// house the money.
contract OrderDesk is EIP712 {
    using Series for uint256;

    /// @notice What a maker is willing to trade; fills may be partial.
    struct Order {
        address maker;
        uint256 series;
        int256 quantity; // contracts with 6 decimals, positive: the maker buys
        uint128 price; // premium of one contract, dollars with 6 decimals
        uint256 deadline; // Unix seconds, inclusive
        uint256 salt; // void once `cancelBelow` has passed it
    }

    bytes32 public constant ORDER_TYPEHASH =
        keccak256("Order(address maker,uint256 series,int256 quantity,uint128 price,uint256 deadline,uint256 salt)");
    uint256 private constant CANCELLED = type(uint256).max;
    /// @dev So that no quantity overflows before the house refuses it.
    uint256 private constant MOST_AT_ONCE = type(uint128).max;

    error OrderExpired(uint256 deadline, uint256 nowS);
    error OrderVoid(uint256 salt, uint256 least);
    error OverFilled(uint256 wanted, uint256 left);
    error NothingToTrade(bytes32 order);
    error WrongSignature(address maker, bytes32 order);
    error NotTheMaker(address caller, address maker);
    error SeriesDiffer(uint256 makerSeries, uint256 takerSeries);
    error SameSide(int256 makerQuantity, int256 takerQuantity);
    error PricesDoNotCross(uint256 makerPrice, uint256 takerPrice);
    error SaltNotHigher(uint256 salt, uint256 least);

    IClearinghouse public immutable house;
    /// @notice Contracts filled of an order; the highest number when it was cancelled.
    mapping(bytes32 order => uint256) public filled;
    /// @notice Orders with a lower salt are void.
    mapping(address maker => uint256) public leastSalt;

    event Filled(bytes32 indexed order, address indexed maker, address indexed taker, uint256 quantity);
    event Cancelled(bytes32 indexed order, address indexed maker);
    event CancelledBelow(address indexed maker, uint256 salt);

    constructor(IClearinghouse house_) {
        house = house_;
    }

    // --- trading ----------------------------------------------------------------------------------------------------

    /// @notice Take the other side of a signed order.
    /// @param quantity Contracts, 6 decimals, at most what is left of the order.
    function fill(Order calldata order, bytes calldata signature, uint256 quantity) external {
        bytes32 digest = _use(order, signature, quantity);
        _trade(order, digest, msg.sender, quantity);
    }

    /// @notice Match two signed orders; anyone may relay them. The trade is at the first order's price.
    function matchOrders(
        Order calldata maker,
        bytes calldata makerSignature,
        Order calldata taker,
        bytes calldata takerSignature,
        uint256 quantity
    ) external {
        if (maker.series != taker.series) revert SeriesDiffer(maker.series, taker.series);
        if (maker.quantity > 0 == taker.quantity > 0) revert SameSide(maker.quantity, taker.quantity);
        bool crosses = maker.quantity > 0 ? maker.price >= taker.price : maker.price <= taker.price;
        if (!crosses) revert PricesDoNotCross(maker.price, taker.price);
        bytes32 digest = _use(maker, makerSignature, quantity);
        bytes32 other = _use(taker, takerSignature, quantity);
        emit Filled(other, taker.maker, maker.maker, quantity);
        _trade(maker, digest, taker.maker, quantity);
    }

    /// @notice Withdraw an order, or what is left of it.
    function cancel(Order calldata order) external {
        if (order.maker != msg.sender) revert NotTheMaker(msg.sender, order.maker);
        bytes32 digest = orderDigest(order);
        filled[digest] = CANCELLED;
        emit Cancelled(digest, msg.sender);
    }

    /// @notice Withdraw every order with a lower salt.
    function cancelBelow(uint256 salt) external {
        if (salt <= leastSalt[msg.sender]) revert SaltNotHigher(salt, leastSalt[msg.sender]);
        leastSalt[msg.sender] = salt;
        emit CancelledBelow(msg.sender, salt);
    }

    /// @notice What a maker signs.
    function orderDigest(Order calldata order) public view returns (bytes32) {
        return _hashTypedData(keccak256(abi.encode(ORDER_TYPEHASH, order)));
    }

    /// @notice The id of a series: its terms. Strike with 8 decimals.
    function seriesId(uint16 market, uint40 expiry, uint64 strike, bool isCall) external pure returns (uint256 id) {
        id = Series.pack(market, expiry, strike, isCall);
        id.validate();
    }

    /// @notice The domain that orders are signed for.
    function domainSeparator() external view returns (bytes32) {
        return _domainSeparator();
    }

    // --- rules ------------------------------------------------------------------------------------------------------

    /// @dev Counts a part of an order as filled, if it is live and its maker's. It is counted before anyone is called,
    /// so that a maker's contract cannot have the same part filled twice.
    function _use(Order calldata order, bytes calldata signature, uint256 quantity) private returns (bytes32 digest) {
        digest = orderDigest(order);
        if (block.timestamp > order.deadline) revert OrderExpired(order.deadline, block.timestamp);
        if (order.salt < leastSalt[order.maker]) revert OrderVoid(order.salt, leastSalt[order.maker]);
        if (quantity == 0) revert NothingToTrade(digest);
        uint256 left = _left(order.quantity, filled[digest]);
        if (quantity > left) revert OverFilled(quantity, left);
        filled[digest] += quantity;
        if (!SignatureCheckerLib.isValidSignatureNowCalldata(order.maker, digest, signature)) {
            revert WrongSignature(order.maker, digest);
        }
    }

    function _trade(Order calldata order, bytes32 digest, address taker, uint256 quantity) private {
        emit Filled(digest, order.maker, taker, quantity);
        int256 bought = order.quantity > 0 ? int256(quantity) : -int256(quantity);
        house.trade(order.maker, taker, order.series, bought, order.price);
    }

    function _left(int256 quantity, uint256 done) private pure returns (uint256) {
        unchecked {
            // Also of the lowest number, which has no positive one.
            uint256 whole = quantity < 0 ? uint256(-quantity) : uint256(quantity);
            uint256 left = whole > done ? whole - done : 0;
            return left < MOST_AT_ONCE ? left : MOST_AT_ONCE;
        }
    }

    function _domainNameAndVersion() internal pure override returns (string memory, string memory) {
        return ("Margrave Clearinghouse", "1");
    }
}
