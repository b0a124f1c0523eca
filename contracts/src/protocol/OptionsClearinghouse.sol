// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IAccountRisk} from "../interfaces/IAccountRisk.sol";
import {IMarginEngine} from "../interfaces/IMarginEngine.sol";
import {ISettlementPrices} from "../interfaces/ISettlementPrices.sol";
import {Book} from "./Book.sol";
import {Collateral} from "./Collateral.sol";
import {Margining} from "./Margining.sol";
import {Settlement} from "./Settlement.sol";
import {TakeOvers} from "./TakeOvers.sol";

/// @title A clearinghouse for European, cash-settled options, margined by the oracle's words.
/// @notice It keeps collateral and positions (`Book`, `Collateral`), lets accounts trade by signed orders (`OrderDesk`,
/// `Trading`) within governance's limits (`Rules`) and initial margin (`Margining`), settles expiries at the oracle's
/// price (`Settlement`), and hands accounts below maintenance to bidders of an auction (`TakeOvers`,
/// `LiquidationAuctions`). Deposits, trades that only shrink positions, settlement and claims work in every state of
/// the oracle.
/// @dev Contracts and dollars have 6 decimals, prices and strikes 8; every rounding is against the account that causes
/// it. The sum of all cash and of what expiries hold is the dollars received, always.
contract OptionsClearinghouse is TakeOvers {
    constructor(
        address authority,
        IMarginEngine engine_,
        IAccountRisk accountRisk_,
        ISettlementPrices prices_,
        address dollar_
    )
        Book(authority, dollar_)
        Settlement(engine_, prices_)
        Collateral(dollar_)
        Margining(accountRisk_)
        TakeOvers(authority)
    {}
}
