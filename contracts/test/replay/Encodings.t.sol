// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import "../../src/oracle/Lanes.sol";
import {RiskOracle} from "../../src/oracle/RiskOracle.sol";
import {OracleSetup} from "../oracle/OracleSetup.sol";

/// @dev Calldata that no compiler would write. In one audited feed a hand-made offset let one encoding be committed and
/// another be verified; here whatever offsets say, what is written is what was signed.
contract EncodingsTest is OracleSetup {
    bytes4 private constant PUBLISH = RiskOracle.publish.selector;

    /// @dev Both arrays behind a gap, in the other order: unusual, and its content is all that counts.
    function test_encoding_arrays_elsewhere_are_read_where_they_are() external {
        (Report memory r, bytes32[] memory rvs, uint256[] memory words) = _signed();
        bytes memory tail = abi.encodePacked(bytes32(uint256(0xdead)), words.length, words, rvs.length, rvs);
        uint256 wordsAt = 5 * 32 + 32;
        uint256 rvsAt = wordsAt + 32 + 32 * words.length;
        _taken(abi.encodePacked(PUBLISH, _head(r, rvsAt, wordsAt), tail));
    }

    /// @dev The words' offset points at the signatures, at the head, into the words, or nowhere.
    function test_fuzz_encoding_an_offset_elsewhere_writes_nothing_unsigned(uint16 rvsAt, uint16 wordsAt) external {
        (Report memory r, bytes32[] memory rvs, uint256[] memory words) = _signed();
        bytes memory tail = abi.encodePacked(rvs.length, rvs, words.length, words);
        bytes memory data = abi.encodePacked(PUBLISH, _head(r, rvsAt % 640, wordsAt % 640), tail);
        (bool ok,) = address(oracle).call(data);
        _signedOrNothing(ok);
    }

    function test_fuzz_encoding_a_cut_or_a_changed_byte_writes_nothing_unsigned(uint16 cut, uint16 place, uint8 with)
        external
    {
        (Report memory r, bytes32[] memory rvs, uint256[] memory words) = _signed();
        bytes memory data = abi.encodeCall(RiskOracle.publish, (r.round, 0, ALL_BUT_LAST, rvs, words));
        if (cut % 2 == 0) {
            uint256 kept = cut % data.length;
            assembly ("memory-safe") {
                mstore(data, kept)
            }
        } else {
            data[place % data.length] ^= bytes1(with);
        }
        (bool ok,) = address(oracle).call(data);
        _signedOrNothing(ok);
    }

    function test_encoding_a_length_beyond_the_calldata_is_refused() external {
        (Report memory r, bytes32[] memory rvs, uint256[] memory words) = _signed();
        uint256[3] memory lengths = [words.length + 1, 1 << 32, type(uint256).max];
        for (uint256 i = 0; i < 3; ++i) {
            bytes memory tail = abi.encodePacked(rvs.length, rvs, lengths[i], words);
            (bool ok,) = address(oracle).call(abi.encodePacked(PUBLISH, _head(r, 160, 160 + 32 + 192), tail));
            check(!ok, "a length that lies");
        }
        same(oracle.state().markets[0].market, 0, "nothing");
    }

    function test_encoding_dirty_upper_bits_are_refused() external {
        (Report memory r, bytes32[] memory rvs, uint256[] memory words) = _signed();
        bytes memory data = abi.encodeCall(RiskOracle.publish, (r.round, 0, ALL_BUT_LAST, rvs, words));
        data[4] = 0x01; // above the round's 32 bits
        (bool ok,) = address(oracle).call(data);
        check(!ok, "round");
        data[4] = 0x00;
        data[36 + 4] = 0x01; // above the first market's 16 bits
        (ok,) = address(oracle).call(data);
        check(!ok, "market");
        data[36 + 4] = 0x00;
        _taken(data);
    }

    function test_encoding_surplus_bytes_change_nothing() external {
        (Report memory r, bytes32[] memory rvs, uint256[] memory words) = _signed();
        bytes memory data = abi.encodeCall(RiskOracle.publish, (r.round, 0, ALL_BUT_LAST, rvs, words));
        _taken(abi.encodePacked(data, bytes32(type(uint256).max), bytes32(uint256(1))));
    }

    function _signed() private view returns (Report memory r, bytes32[] memory rvs, uint256[] memory words) {
        r = report(riskWord(100), marketWord(BTC));
        (rvs, words) = sign(r);
    }

    function _head(Report memory r, uint256 rvsAt, uint256 wordsAt) private pure returns (bytes memory) {
        return abi.encode(r.round, r.firstMarket, r.memberBitmap, rvsAt, wordsAt);
    }

    function _taken(bytes memory data) private {
        (bool ok,) = address(oracle).call(data);
        check(ok, "taken");
        _signedOrNothing(true);
    }

    function _signedOrNothing(bool ok) private view {
        (uint256 risk, uint256 market,,) = oracle.read(0);
        check(ok ? risk == riskWord(100) : risk == 0, "risk");
        check(market & ~MARKET_STAMPED == (ok ? marketWord(BTC) : 0), "market");
        (, market,,) = oracle.read(1);
        same(market, 0, "no other market");
    }
}
