// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {SafeTransferLib} from "solady/utils/SafeTransferLib.sol";
import {IRiskOracle} from "../../interfaces/IRiskOracle.sol";
import {Field} from "../Fields.sol";
import {Reading, Readings} from "../Reading.sol";
import {Demands, RiskConsumer} from "../RiskConsumer.sol";

/// @title A lending desk in one page: dollars against one collateral, haircut by the oracle's tail losses.
/// @notice An example of a consumer. It shows which operation reads what, and that paying back and adding collateral
/// work whatever the oracle says. It charges no interest and has one market: it is for reading, not for lending.
/// @dev New debt is measured by the loss beyond 99.9 %, existing debt by the loss beyond 99 %: a loan at its limit is
/// not liquidated by the next block.
contract LendingDesk is RiskConsumer {
    using Readings for Reading;
    using SafeTransferLib for address;

    uint256 private constant BP = 10_000;

    uint16 public immutable market;
    address public immutable collateral; // 18 decimals
    address public immutable dollars; // 6 decimals
    Demands private _demands;

    mapping(address account => uint256) public collateralOf;
    mapping(address account => uint256) public debtOf;

    event Deposited(address indexed account, uint256 amount);
    event Withdrawn(address indexed account, uint256 amount);
    event Borrowed(address indexed account, uint256 amount);
    event Repaid(address indexed account, address indexed payer, uint256 amount);
    event Liquidated(address indexed account, address indexed liquidator, uint256 repaid, uint256 seized);

    error BeyondLimit(uint256 debt, uint256 limit);
    error Healthy(uint256 debt, uint256 limit);
    error TooMuch(uint256 asked, uint256 has);

    constructor(IRiskOracle oracle, uint16 market_, address collateral_, address dollars_, Demands memory demands)
        RiskConsumer(oracle)
    {
        (market, collateral, dollars) = (market_, collateral_, dollars_);
        _demands = demands;
    }

    /// @notice Add collateral. Reads nothing, so it always works.
    function deposit(uint256 amount) external {
        collateralOf[msg.sender] += amount;
        collateral.safeTransferFrom(msg.sender, address(this), amount);
        emit Deposited(msg.sender, amount);
    }

    /// @notice Take collateral out. An account without debt needs no oracle to leave.
    function withdraw(uint256 amount) external {
        uint256 held = collateralOf[msg.sender];
        if (amount > held) revert TooMuch(amount, held);
        collateralOf[msg.sender] = held - amount;
        if (debtOf[msg.sender] != 0) _requireWithinLimit(msg.sender);
        collateral.safeTransfer(msg.sender, amount);
        emit Withdrawn(msg.sender, amount);
    }

    /// @notice Take dollars against collateral.
    function borrow(uint256 amount) external {
        debtOf[msg.sender] += amount;
        _requireWithinLimit(msg.sender);
        dollars.safeTransfer(msg.sender, amount);
        emit Borrowed(msg.sender, amount);
    }

    /// @notice Pay anyone's debt back. Reads nothing, so it always works.
    function repay(address account, uint256 amount) external {
        uint256 debt = debtOf[account];
        if (amount > debt) revert TooMuch(amount, debt);
        debtOf[account] = debt - amount;
        dollars.safeTransferFrom(msg.sender, address(this), amount);
        emit Repaid(account, msg.sender, amount);
    }

    /// @notice Pay the debt of an account beyond its liquidation limit, for collateral of that worth and a premium.
    function liquidate(address account) external {
        Reading memory x = _readToLiquidate(market);
        uint256 debt = debtOf[account];
        uint256 limit = _limitDown(account, x, Field.DOWN_ES99);
        if (debt <= limit) revert Healthy(debt, limit);
        // Premium: what selling the collateral is published to cost.
        uint256 worth = debt * (BP + x.shareBp(Field.LIQUIDITY)) / BP;
        uint256 seized = worth * 1e20 / x.priceE8();
        uint256 held = collateralOf[account];
        if (seized > held) seized = held;
        (debtOf[account], collateralOf[account]) = (0, held - seized);
        dollars.safeTransferFrom(msg.sender, address(this), debt);
        collateral.safeTransfer(msg.sender, seized);
        emit Liquidated(account, msg.sender, debt, seized);
    }

    /// @notice What an account may owe in all, 6 decimals; zero while the oracle is not good for new risk.
    function limitOf(address account) external view returns (uint256) {
        (bool usable, Reading memory x) = _readIfUsable(market);
        return usable ? _limitDown(account, x, Field.DOWN_ES999) : 0;
    }

    function _requireWithinLimit(address account) private view {
        uint256 limit = _limitDown(account, _readForNewRisk(market), Field.DOWN_ES999);
        if (debtOf[account] > limit) revert BeyondLimit(debtOf[account], limit);
    }

    /// @dev Collateral's worth less a tail loss, the cost of selling it and contagion, rounded against the account.
    function _limitDown(address account, Reading memory x, Field tailLoss) private view returns (uint256) {
        uint256 haircut = x.shareBp(tailLoss) + x.shareBp(Field.LIQUIDITY) + x.shareBp(Field.CONTAGION);
        if (haircut >= BP) return 0;
        return collateralOf[account] * x.priceE8() * (BP - haircut) / BP / 1e20;
    }

    function _demandsOf(uint16) internal view override returns (Demands memory) {
        return _demands;
    }
}
