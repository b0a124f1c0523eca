// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {ERC20} from "solady/tokens/ERC20.sol";
import {IRiskOracle} from "../../src/interfaces/IRiskOracle.sol";
import {FLAGS_SHIFT, LANE_MAX, PRICE_SHIFT, STAMP_MAX, STAMP_SHIFT} from "../../src/oracle/Lanes.sol";

/// @dev Words that a test sets, with the status that it sets. Like the oracle, it keeps them when a market stops.
contract OracleDouble {
    struct Row {
        uint256 risk;
        uint256 market;
        uint256 observedAt;
        IRiskOracle.Status status;
    }

    mapping(uint16 => Row) private _rows;

    function publish(uint16 id, uint256 risk, uint256 market) external {
        market |= block.timestamp << STAMP_SHIFT;
        _rows[id] = Row(risk, market, block.timestamp, IRiskOracle.Status.FRESH);
    }

    function setStatus(uint16 id, IRiskOracle.Status status) external {
        _rows[id].status = status;
    }

    function read(uint16 id) public view returns (uint256, uint256, uint256, IRiskOracle.Status) {
        Row storage row = _rows[id];
        return (row.risk, row.market, block.timestamp - row.observedAt, row.status);
    }

    function effective(uint16 id) external view returns (uint256, uint256, uint256, IRiskOracle.Status) {
        return read(id);
    }
}

/// @dev Multipliers that a test sets.
contract AccountRiskDouble {
    mapping(address => uint256) public multiplierOf;

    function set(address account, uint256 bp) external {
        multiplierOf[account] = bp;
    }
}

/// @dev A token that anyone may mint, and that may keep a share of every transfer.
contract TokenDouble is ERC20 {
    uint8 private immutable _decimals;
    uint256 public feeBp;

    constructor(uint8 decimals_) {
        _decimals = decimals_;
    }

    function name() public pure override returns (string memory) {
        return "Token";
    }

    function symbol() public pure override returns (string memory) {
        return "TKN";
    }

    function decimals() public view override returns (uint8) {
        return _decimals;
    }

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function setFee(uint256 bp) external {
        feeBp = bp;
    }

    function transferFrom(address from, address to, uint256 amount) public virtual override returns (bool) {
        super.transferFrom(from, to, amount);
        if (feeBp != 0) _burn(to, amount * feeBp / 10_000);
        return true;
    }
}

/// @dev Calls its holders before it moves, as ERC-777 does.
contract HookedToken is TokenDouble(18) {
    mapping(address => bool) public hooked;

    function hook(bool yes) external {
        hooked[msg.sender] = yes;
    }

    function transfer(address to, uint256 amount) public override returns (bool) {
        if (hooked[to]) Hooked(to).called();
        return super.transfer(to, amount);
    }

    function transferFrom(address from, address to, uint256 amount) public override returns (bool) {
        if (hooked[from]) Hooked(from).called();
        return super.transferFrom(from, to, amount);
    }
}

interface Hooked {
    function called() external;
}
