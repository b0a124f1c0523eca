// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {ReportKind, Settings} from "../../src/oracle/Config.sol";
import {OracleSetup} from "../oracle/OracleSetup.sol";

/// @dev What the oracle costs, whole transactions from their 21,000 on, each from cold: written to
/// contracts/gas-snapshots. A publication is measured in its fourth round, over figures that three rounds have written.
contract OracleGas is OracleSetup {
    uint16 private constant MARKETS = 50;

    function setUp() public override {
        super.setUp();
        Settings memory x = settings();
        (x.classOf, x.groupOf, x.ringOf) = (new bytes(MARKETS), new bytes(MARKETS), new bytes(MARKETS));
        set(x);
    }

    function test_own_words_of_one_market() external {
        _ownWords(1, "publish own words, markets 1");
    }

    function test_own_words_of_ten_markets() external {
        _ownWords(10, "publish own words, markets 10");
    }

    function test_own_words_of_fifty_markets() external {
        _ownWords(50, "publish own words, markets 50");
    }

    function test_co_signed_words() external {
        Settings memory x = settings();
        (x.classOf, x.groupOf, x.ringOf) = (new bytes(MARKETS), new bytes(MARKETS), new bytes(MARKETS));
        x.kind = ReportKind.CO_SIGNED;
        set(x);
        uint256[] memory words = _words(10, 0);
        for (uint256 i = 0; i < 4; ++i) {
            nextRound();
            publishCoSigned(report(words, words, words));
        }
        vm.snapshotGasLastCall("oracle", "publish co-signed, markets 10");
    }

    function test_a_market_held_to_its_step() external {
        publish(report(riskWord(200), marketWord(BTC)));
        for (uint256 i = 0; i < 3; ++i) {
            nextRound();
            publish(report(riskWord(200 - 60 * (i + 1)), marketWord(BTC)));
        }
        check(flagsOf(0) & 1 == 1, "limited");
        nextRound();
        publish(report(riskWord(20), marketWord(BTC)));
        vm.snapshotGasLastCall("oracle", "publish own words, markets 1, limited");
    }

    function test_reads() external {
        publish(report(riskWord(100), marketWord(BTC)));
        vm.warp(block.timestamp + 6000);
        oracle.read(0);
        vm.snapshotGasLastCall("oracle", "read");
        oracle.effective(0);
        vm.snapshotGasLastCall("oracle", "effective, ageing");
        uint16[] memory ids = new uint16[](10);
        for (uint16 i = 0; i < 10; ++i) {
            ids[i] = i;
        }
        oracle.readPacked(ids);
        vm.snapshotGasLastCall("oracle", "readPacked, markets 10");
    }

    function test_the_guardian_and_governance() external {
        publish(report(riskWord(100), marketWord(BTC)));
        oracle.halt(0);
        vm.snapshotGasLastCall("oracle", "halt");
        oracle.resume(0);
        vm.snapshotGasLastCall("oracle", "resume");
    }

    function _ownWords(uint256 markets, string memory name) private {
        for (uint256 i = 0; i < 4; ++i) {
            nextRound();
            publish(report(_words(markets, 0), _words(markets, 1), _words(markets, 2)));
        }
        vm.snapshotGasLastCall("oracle", name);
    }

    function _words(uint256 markets, uint256 member) private view returns (uint256[] memory words) {
        words = new uint256[](2 * markets);
        for (uint256 i = 0; i < markets; ++i) {
            words[2 * i] = riskWord(100 + member + round % 7);
            words[2 * i + 1] = marketWord(BTC + member * 1e6 + round);
        }
    }
}
