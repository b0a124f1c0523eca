// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {ERC20Votes} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Votes.sol";
import {Nonces} from "@openzeppelin/contracts/utils/Nonces.sol";

/// @notice Who holds how much from the beginning.
struct Grant {
    address to;
    uint256 amount;
}

/// @title Votes of the reference deployment.
/// @notice The supply is given out once, by the constructor. The contract has no owner and no way to mint: nobody,
/// governance included, can dilute a vote.
contract MargraveToken is ERC20, ERC20Permit, ERC20Votes {
    error NoGrants();

    /// @param grants The whole supply; a holder votes after it has delegated, to itself or to another.
    constructor(Grant[] memory grants) ERC20("Margrave", "MRGV") ERC20Permit("Margrave") {
        if (grants.length == 0) revert NoGrants();
        for (uint256 i = 0; i < grants.length; ++i) {
            _mint(grants[i].to, grants[i].amount);
        }
    }

    /// @notice Votes are counted by time, so that periods mean the same on chains with different block times.
    function clock() public view override returns (uint48) {
        return uint48(block.timestamp);
    }

    /// @notice The clock, in the words of ERC-6372.
    // solhint-disable-next-line func-name-mixedcase
    function CLOCK_MODE() public pure override returns (string memory) {
        return "mode=timestamp";
    }

    function _update(address from, address to, uint256 value) internal override(ERC20, ERC20Votes) {
        super._update(from, to, value);
    }

    /// @notice The next number that a permit or a delegation by signature of `owner` must carry.
    function nonces(address owner) public view override(ERC20Permit, Nonces) returns (uint256) {
        return super.nonces(owner);
    }
}
