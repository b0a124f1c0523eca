// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IMarginEngine} from "./IMarginEngine.sol";

import {IRiskOracle} from "./IRiskOracle.sol";
import {ISettlementPrices} from "./ISettlementPrices.sol";

/// @title What the auctions, the insurance fund, vaults and other readers use of the clearinghouse.
/// @notice Dollars and contracts have 6 decimals, prices and strikes 8. A series id is its terms (protocol/Series.sol),
/// a leg is a position in one word (margin/Leg.sol).
interface IClearinghouse {
    /// @notice An account over all its markets, for taking new risk.
    struct Health {
        uint256 cash; // dollars held
        uint256 claims; // payouts of expiries whose writers have not all paid yet
        uint256 collateral; // other tokens after haircuts; nothing for those whose price cannot be relied on
        int256 value; // mark of the positions, rounded down
        uint256 initial; // what must be held to add risk or withdraw
        uint256 maintenance; // what must be held not to be liquidated
        bool usable; // every market it has positions in may be relied on
    }

    /// @notice One collateral token of an account.
    struct Holding {
        uint8 token; // its index
        uint256 amount;
        uint256 full; // dollars at the last good price, rounded down
        uint256 counted; // the same after haircut and liquidity
        IRiskOracle.Status status; // of the token's market
    }

    /// @notice How an auction moves a share of an account to a bidder.
    struct TakeOver {
        address from;
        address to;
        uint256 share; // 18 decimals
        uint16[] markets; // whose positions move
        uint16 tokens; // bit i: token i moves
        uint256 toBidder; // dollars from the account's cash
        uint256 fromBidder; // dollars to the account's cash
        uint256 fromInsurance; // dollars to the bidder
        uint256 toInsurance; // dollars from the bidder
    }

    function trade(address maker, address taker, uint256 series, int256 quantity, uint256 price) external;
    function deposit(address token, uint256 amount) external;
    function withdraw(address token, uint256 amount) external;
    function takeOver(TakeOver calldata t) external;
    function sellCollateral(address from, address to, uint8 token, uint256 amount, uint256 payment) external;

    function dollar() external view returns (address);
    function engine() external view returns (IMarginEngine);
    function oracle() external view returns (IRiskOracle);
    function insurance() external view returns (address);
    function cashOf(address account) external view returns (uint256);
    function claimsOf(address account) external view returns (uint256);
    function marketsOf(address account) external view returns (uint16[] memory);
    function legsOf(address account, uint16 market) external view returns (uint256[] memory);
    function tokensOf(address account) external view returns (uint16);
    function holdingOf(address account, uint8 token) external view returns (Holding memory);
    function health(address account) external view returns (Health memory);
    function multiplierOf(address account) external view returns (uint256 bp);
    function requirementOf(address account, uint16 market)
        external
        view
        returns (uint256 initial, uint256 maintenance, int256 value, IRiskOracle.Status status);
    function requirementAt(address account, uint16 market, uint256 multiplierBp)
        external
        view
        returns (uint256 initial, uint256 maintenance, int256 value, IRiskOracle.Status status);
    function prices() external view returns (ISettlementPrices);
    function netPayoff(address account, uint16 market, uint40 expiry) external view returns (int256);
}
