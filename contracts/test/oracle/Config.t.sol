// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Config, ReportKind, Settings} from "../../src/oracle/Config.sol";
import {Limits, Timing} from "../../src/oracle/Policy.sol";
import "../../src/oracle/Lanes.sol";
import {Base} from "../Base.sol";

/// @dev Writes blobs and nothing else, as a registry does.
contract Writer {
    function write(Settings calldata x) external returns (address) {
        return Config.write(x);
    }
}

contract ConfigTest is Base {
    using Config for address;
    using Config for bytes;

    function settings(uint256 members, uint256 classes, uint256 markets) internal pure returns (Settings memory x) {
        x.kind = ReportKind.CO_SIGNED;
        x.paused = true;
        x.quorum = uint8(2 * members / 3 + 1);
        x.modelSetIndex = 511;
        x.modelSet = keccak256("models");
        x.timing = Timing(30, 900, 60);
        x.members = new address[](members);
        for (uint256 i = 0; i < members; ++i) {
            x.members[i] = address(uint160(i + 1));
        }
        x.classes = new Limits[](classes);
        for (uint256 i = 0; i < classes; ++i) {
            x.classes[i].riskHigh = RISK_BOX_HIGH;
            (x.classes[i].marketLow, x.classes[i].marketHigh) = (MARKET_BOX_LOW, MARKET_BOX_HIGH);
            x.classes[i].maxPriceMoveBp = i + 1;
        }
        (x.classOf, x.groupOf, x.ringOf) = (new bytes(markets), new bytes(markets), new bytes(markets));
        for (uint256 i = 0; i < markets; ++i) {
            x.classOf[i] = bytes1(uint8(i % classes));
            x.groupOf[i] = bytes1(uint8(i / 3));
            x.ringOf[i] = bytes1(uint8(i));
        }
    }

    function test_fuzz_settings_come_back_as_they_were_written(uint8 members, uint8 classes, uint8 markets) external {
        Writer writer = new Writer();
        Settings memory x = settings(within(members, 1, 31), within(classes, 1, 20), markets);
        Settings memory y = writer.write(x).read();
        check(keccak256(abi.encode(x)) == keccak256(abi.encode(y)), "settings");
        check(writer.write(x).load().digest() == Config.policyDigest(x), "digest");
    }

    /// @dev The nonces around each length of their encoding.
    function test_blob_number_n_lies_at_the_address_of_nonce_n() external {
        Writer writer = new Writer();
        Settings memory none;
        for (uint256 epoch = 1; epoch <= 260; ++epoch) {
            same(uint160(writer.write(none)), uint160(Config.addressOf(address(writer), epoch)), "address");
        }
    }
}
