// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {SafeTransferLib} from "solady/utils/SafeTransferLib.sol";
import {IClearinghouse} from "../interfaces/IClearinghouse.sol";
import {IRiskOracle} from "../interfaces/IRiskOracle.sol";
import {LANE_MAX, LIQUIDITY_SHIFT, PRICE_SHIFT} from "../oracle/Lanes.sol";
import {Settlement} from "./Settlement.sol";

/// @title Tokens held as collateral, what they count for, and how they come and go.
/// @notice Token 0 is the dollar that everything is paid in: it is cash, and counts in full. Another token counts
/// amount · min(price, peg if it has one) · (1 − haircut − liquidity), price and liquidity from its oracle market, so
/// that a lost peg or a dried-up market shows at once. Where the market cannot be relied on it counts nothing for new
/// risk.
/// @dev What arrives is credited by balance, so that a token that keeps a fee credits what came. A token whose balances
/// change by themselves must not be listed.
abstract contract Collateral is Settlement {
    using SafeTransferLib for address;

    uint256 private constant PAR_BP = 10_000;
    uint256 private constant MOST_TOKENS = 16;
    uint256 private constant MOST_DECIMALS = 18;

    struct TokenRules {
        uint16 market; // the oracle's, for price and liquidity
        uint16 haircutBp;
        uint64 peg; // dollars, 8 decimals; zero: no stablecoin
        uint128 cap; // of what the house holds, in the token's units
    }

    struct Token {
        address token;
        uint8 decimals;
        uint128 held;
        TokenRules rules;
    }

    error NotCollateral(address token);
    error AlreadyCollateral(address token);
    error TooManyTokens(uint256 wanted, uint256 most);
    error DecimalsOutOfRange(uint256 decimals, uint256 most);
    error HaircutOutOfRange(uint256 haircutBp, uint256 most);
    error CapReached(uint256 wanted, uint256 cap);

    Token[] internal _tokens;
    mapping(address token => uint256) private _indexPlusOne;

    event CollateralAdded(uint8 indexed index, address indexed token, TokenRules rules);
    event CollateralChanged(uint8 indexed index, address indexed token, TokenRules before, TokenRules afterwards);
    event Deposited(address indexed account, address indexed token, uint256 amount);
    event Withdrawn(address indexed account, address indexed token, uint256 amount);

    constructor(address dollar_) {
        _list(dollar_, TokenRules({market: 0, haircutBp: 0, peg: 0, cap: type(uint96).max}));
    }

    // --- governance -------------------------------------------------------------------------------------------------

    /// @notice Take another token as collateral.
    function addCollateral(address token, TokenRules calldata rules) external restricted {
        if (_indexPlusOne[token] != 0) revert AlreadyCollateral(token);
        if (_tokens.length == MOST_TOKENS) revert TooManyTokens(MOST_TOKENS + 1, MOST_TOKENS);
        _requireSane(rules);
        _list(token, rules);
    }

    /// @notice Change what a token counts for, or how much of it is taken. A lower cap refuses deposits only.
    function setCollateral(address token, TokenRules calldata rules) external restricted {
        _requireSane(rules);
        uint256 index = _indexOf(token);
        emit CollateralChanged(uint8(index), token, _tokens[index].rules, rules);
        _tokens[index].rules = rules;
    }

    // --- coming and going -------------------------------------------------------------------------------------------

    /// @notice Bring collateral: always open, up to the token's cap.
    function deposit(address token, uint256 amount) external nonReentrant {
        uint256 index = _indexOf(token);
        Token storage t = _tokens[index];
        uint256 before = token.balanceOf(address(this));
        token.safeTransferFrom(msg.sender, address(this), amount);
        amount = token.balanceOf(address(this)) - before;
        uint256 held = t.held + amount;
        if (held > t.rules.cap) revert CapReached(held, t.rules.cap);
        t.held = uint128(held);
        if (index == 0) _credit(msg.sender, amount);
        else _addToken(msg.sender, index, amount);
        emit Deposited(msg.sender, token, amount);
    }

    /// @notice Take out what is not needed for initial margin. Without positions that is everything, whatever the state
    /// of any market.
    function withdraw(address token, uint256 amount) external nonReentrant {
        uint256 index = _indexOf(token);
        if (index == 0) _debit(msg.sender, amount);
        else _takeToken(msg.sender, index, amount);
        if (_accounts[msg.sender].markets != 0) _requireInitial(msg.sender);
        _tokens[index].held -= uint128(amount);
        token.safeTransfer(msg.sender, amount);
        emit Withdrawn(msg.sender, token, amount);
    }

    // --- reading ----------------------------------------------------------------------------------------------------

    /// @notice How many tokens are taken; the first is the dollar.
    function tokenCount() external view returns (uint256) {
        return _tokens.length;
    }

    /// @notice A token, how much of it the house holds for all accounts, and its rules.
    function tokenAt(uint256 index) external view returns (Token memory) {
        return _tokens[index];
    }

    /// @notice Which tokens an account holds some of, the dollar aside: bit i is token i.
    function tokensOf(address account) external view returns (uint16) {
        return _accounts[account].tokens;
    }

    /// @notice An account's holding of one token, and what it is worth on the last good figures.
    function holdingOf(address account, uint8 index) public view returns (IClearinghouse.Holding memory h) {
        Token storage t = _tokens[index];
        TokenRules memory rules = t.rules;
        (uint256 risk, uint256 words,, IRiskOracle.Status status) = oracle.effective(rules.market);
        uint256 price = words >> PRICE_SHIFT;
        if (rules.peg != 0 && price > rules.peg) price = rules.peg;
        uint256 cut = rules.haircutBp + (risk >> LIQUIDITY_SHIFT & LANE_MAX);
        (h.token, h.amount, h.status) = (index, _accounts[account].balance[index], status);
        // A price has 8 decimals, a dollar 6.
        h.full = h.amount * price / 10 ** t.decimals / 100;
        h.counted = cut < PAR_BP ? h.full * (PAR_BP - cut) / PAR_BP : 0;
    }

    /// @return counted What an account's tokens count for new risk.
    function _collateralOf(address account) internal view returns (uint256 counted) {
        uint256 held = _accounts[account].tokens;
        for (uint256 i = 1; held >> i != 0; ++i) {
            if (held >> i & 1 == 0) continue;
            IClearinghouse.Holding memory h = holdingOf(account, uint8(i));
            if (_usable(h.status)) counted += h.counted;
        }
    }

    // --- moving -----------------------------------------------------------------------------------------------------

    function _requireInitial(address account) internal view virtual;

    function _indexOf(address token) private view returns (uint256) {
        uint256 plusOne = _indexPlusOne[token];
        if (plusOne == 0) revert NotCollateral(token);
        return plusOne - 1;
    }

    function _requireSane(TokenRules calldata rules) private pure {
        if (rules.haircutBp > PAR_BP) revert HaircutOutOfRange(rules.haircutBp, PAR_BP);
    }

    function _list(address token, TokenRules memory rules) private {
        uint256 decimals = IDecimals(token).decimals();
        if (decimals > MOST_DECIMALS) revert DecimalsOutOfRange(decimals, MOST_DECIMALS);
        emit CollateralAdded(uint8(_tokens.length), token, rules);
        _tokens.push(Token({token: token, decimals: uint8(decimals), held: 0, rules: rules}));
        _indexPlusOne[token] = _tokens.length;
    }
}

interface IDecimals {
    function decimals() external view returns (uint8);
}
