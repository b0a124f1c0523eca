// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {AccessManager} from "@openzeppelin/contracts/access/manager/AccessManager.sol";
import {IRiskOracle} from "../../src/interfaces/IRiskOracle.sol";
import {Settings} from "../../src/oracle/Config.sol";
import "../../src/oracle/Lanes.sol";
import {Markets} from "../../src/oracle/Markets.sol";
import {Limits, Timing} from "../../src/oracle/Policy.sol";
import {RiskOracle} from "../../src/oracle/RiskOracle.sol";
import {Base} from "../Base.sol";
import {Settler} from "./Settler.sol";

/// @dev An oracle with four members, a quorum of three and two markets, and words to feed it. The test contract is the
/// admin of the authority, and its registry has no rules.
abstract contract OracleSetup is Base {
    uint256 internal constant PERIOD = 300;
    uint256 internal constant START = 1_800_000_000;
    uint256 internal constant ALL_BUT_LAST = 7;
    bytes32 internal constant EVIDENCE = keccak256("evidence");
    bytes32 internal constant MODELS = bytes32(uint256(0xabcd));
    uint256 internal constant BTC = 60_000e8;

    AccessManager internal manager;
    Settler internal registry;
    RiskOracle internal oracle;
    uint256[4] internal keys = [uint256(0xA1), 0xB2, 0xC3, 0xD4];
    uint32 internal round = uint32(START / PERIOD);

    struct Report {
        uint32 epoch;
        uint32 round;
        uint16 firstMarket;
        bytes32 modelSet;
        bytes32 policy;
        uint256 memberBitmap;
        uint256[][] words; // by signer
    }

    function setUp() public virtual {
        vm.warp(START);
        manager = new AccessManager(address(this));
        (registry, oracle) = deployed();
        registry.set(oracle, settings(), 0);
    }

    function deployed() internal returns (Settler writer, RiskOracle made) {
        writer = new Settler();
        made = new RiskOracle(address(manager), address(writer), uint32(PERIOD), 5400, 14_400);
    }

    function settings() internal view returns (Settings memory x) {
        (x.quorum, x.modelSetIndex, x.modelSet) = (3, 1, MODELS);
        x.timing = timing();
        x.members = members();
        x.classes = new Limits[](1);
        x.classes[0] = limits();
        (x.classOf, x.groupOf, x.ringOf) = (new bytes(2), new bytes(2), new bytes(2));
    }

    /// @dev New settings that bind at once; reports made before are void.
    function set(Settings memory x) internal {
        registry.set(oracle, x, 0);
    }

    function timing() internal pure returns (Timing memory) {
        return Timing({maxSkew: 30, maxReportAge: 900, minInterval: 0});
    }

    /// @dev Every risk lane may fall by 40 a write, without a budget, and rise freely; the price may move by half.
    function limits() internal pure returns (Limits memory x) {
        uint256 each = 0;
        for (uint256 i = 0; i < 16; ++i) {
            each |= 1 << 16 * i;
        }
        x.riskHigh = RISK_BOX_HIGH;
        x.riskMaxRise = each * LANE_MAX;
        x.riskMaxFall = each * 40;
        x.riskDaily = each * LANE_MAX;
        x.marketLow = MARKET_BOX_LOW;
        x.marketHigh = MARKET_BOX_HIGH;
        x.marketMaxRise = (each * LANE_MAX | PRICE_MAX << PRICE_SHIFT) & ~MARKET_FORBIDDEN;
        x.marketMaxFall = x.marketMaxRise;
        x.marketDaily = each * LANE_MAX & ~(MARKET_FORBIDDEN | PRICE_MAX << PRICE_SHIFT);
        x.maxPriceMoveBp = 5000;
    }

    function members() internal view returns (address[] memory all) {
        all = new address[](4);
        for (uint256 i = 0; i < 4; ++i) {
            all[i] = vm.addr(keys[i]);
        }
    }

    /// @dev A calm market: a day-sized ladder times `stress` percent, 60 % volatility, a sound surface.
    function riskWord(uint256 stress) internal pure returns (uint256 word) {
        uint16[16] memory lanes = [200, 300, 350, 500, 600, 180, 280, 330, 470, 560, 3000, 2000, 10, 1000, 500, 100];
        for (uint256 i = 0; i < 16; ++i) {
            word |= uint256(lanes[i]) * stress / 100 << 16 * i;
        }
    }

    function marketWord(uint256 price) internal pure returns (uint256) {
        return price << PRICE_SHIFT | 2000 << SCORE_SHIFT | 9000 << CONFIDENCE_SHIFT | 1660 << TOTAL_VOL_7D_SHIFT | 3440
            << TOTAL_VOL_30D_SHIFT | 5960 << TOTAL_VOL_90D_SHIFT | (EXCESS - 2000) << SSVI_RHO_SHIFT | 8000
            << SSVI_WING_SHIFT | 4000 << SSVI_DECAY_SHIFT | (EXCESS + 500) << BASIS_SHIFT;
    }

    function pair(uint256 risk, uint256 market) internal pure returns (uint256[] memory words) {
        words = new uint256[](2);
        (words[0], words[1]) = (risk, market);
    }

    /// @dev The first three members say the same of market 0.
    function report(uint256 risk, uint256 market) internal view returns (Report memory) {
        return report(pair(risk, market), pair(risk, market), pair(risk, market));
    }

    function report(uint256[] memory a, uint256[] memory b, uint256[] memory c)
        internal
        view
        returns (Report memory r)
    {
        Markets.State memory s = oracle.state();
        Markets.EpochState memory e = s.next.epoch != 0 && round >= s.next.fromRound ? s.next : s.current;
        (r.epoch, r.round, r.modelSet, r.policy) = (e.epoch, round, e.modelSet, e.policyDigest);
        r.memberBitmap = ALL_BUT_LAST;
        r.words = new uint256[][](3);
        (r.words[0], r.words[1], r.words[2]) = (a, b, c);
    }

    function domain() internal view returns (bytes32) {
        return keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Margrave"),
                keccak256("1"),
                block.chainid,
                address(oracle)
            )
        );
    }

    function digestOf(Report memory r, uint256[] memory words) internal view returns (bytes32) {
        bytes32 struct_ = keccak256(
            abi.encode(
                keccak256(
                    "OwnWords(uint32 epoch,uint32 round,uint16 firstMarket,bytes32 modelSet,bytes32 policy,uint256[] words)"
                ),
                r.epoch,
                r.round,
                r.firstMarket,
                r.modelSet,
                r.policy,
                keccak256(abi.encodePacked(words))
            )
        );
        return keccak256(abi.encodePacked(hex"1901", domain(), struct_));
    }

    function coSignedDigestOf(Report memory r) internal view returns (bytes32) {
        bytes32 struct_ = keccak256(
            abi.encode(
                keccak256(
                    "CoSigned(uint32 epoch,uint32 round,uint16 firstMarket,bytes32 modelSet,bytes32 policy,bytes32 evidenceRoot,uint256[] words)"
                ),
                r.epoch,
                r.round,
                r.firstMarket,
                r.modelSet,
                r.policy,
                EVIDENCE,
                keccak256(abi.encodePacked(r.words[0]))
            )
        );
        return keccak256(abi.encodePacked(hex"1901", domain(), struct_));
    }

    function coSign(Report memory r) internal view returns (bytes32[] memory rvs) {
        rvs = new bytes32[](6);
        uint256 signer = 0;
        for (uint256 i = 0; i < 3; ++i) {
            while (r.memberBitmap >> signer & 1 == 0) ++signer;
            (rvs[2 * i], rvs[2 * i + 1]) = signedBy(keys[signer++], coSignedDigestOf(r));
        }
    }

    function publishCoSigned(Report memory r) internal {
        oracle.publishCoSigned(r.round, r.firstMarket, r.memberBitmap, coSign(r), EVIDENCE, r.words[0]);
    }

    function sign(Report memory r) internal view returns (bytes32[] memory rvs, uint256[] memory words) {
        uint256 n = r.words.length;
        uint256 each = r.words[0].length;
        rvs = new bytes32[](2 * n);
        words = new uint256[](n * each);
        uint256 signer = 0;
        for (uint256 i = 0; i < n; ++i) {
            while (r.memberBitmap >> signer & 1 == 0) ++signer;
            (rvs[2 * i], rvs[2 * i + 1]) = signedBy(keys[signer % 4], digestOf(r, r.words[i]));
            for (uint256 j = 0; j < each; ++j) {
                words[i * each + j] = r.words[i][j];
            }
            ++signer;
        }
    }

    function signedBy(uint256 key, bytes32 digest) internal pure returns (bytes32, bytes32) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return (r, bytes32(uint256(s) | uint256(v - 27) << 255));
    }

    function publish(Report memory r) internal {
        (bytes32[] memory rvs, uint256[] memory words) = sign(r);
        oracle.publish(r.round, r.firstMarket, r.memberBitmap, rvs, words);
    }

    function refused(Report memory r, bytes memory why) internal {
        (bytes32[] memory rvs, uint256[] memory words) = sign(r);
        vm.expectRevert(why);
        oracle.publish(r.round, r.firstMarket, r.memberBitmap, rvs, words);
    }

    function nextRound() internal {
        ++round;
        vm.warp(round * PERIOD);
    }

    function statusOf(uint16 id) internal view returns (IRiskOracle.Status status) {
        (,,, status) = oracle.read(id);
    }

    function flagsOf(uint16 id) internal view returns (uint256) {
        (, uint256 market,,) = oracle.read(id);
        return market >> FLAGS_SHIFT & LANE_MAX;
    }

    function priceOf(uint16 id) internal view returns (uint256) {
        (, uint256 market,,) = oracle.read(id);
        return market >> PRICE_SHIFT;
    }
}
