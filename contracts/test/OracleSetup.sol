// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IRiskOracle} from "../src/interfaces/IRiskOracle.sol";
import "../src/oracle/Lanes.sol";
import {Limits, Timing} from "../src/oracle/Policy.sol";
import {RiskOracle} from "../src/oracle/RiskOracle.sol";
import {Base} from "./Base.sol";

/// @dev An oracle with four members, a quorum of three and two markets, and words to feed it.
abstract contract OracleSetup is Base {
    uint256 internal constant PERIOD = 300;
    uint256 internal constant START = 1_800_000_000;
    uint256 internal constant ALL_BUT_LAST = 7;
    bytes32 internal constant MODELS = bytes32(uint256(0xabcd));
    uint256 internal constant BTC = 60_000e8;

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
        oracle = new RiskOracle(address(this), timing());
        oracle.setClass(0, limits());
        oracle.setMarkets(0, new uint8[](2));
        oracle.setEpoch(members(), 3, MODELS);
    }

    function timing() internal pure returns (Timing memory) {
        return Timing({period: uint32(PERIOD), maxSkew: 30, maxReportAge: 900, agingAfter: 5400, staleAfter: 14_400});
    }

    /// @dev Every risk lane may fall by 40 a round and rise freely; the price may move by half.
    function limits() internal pure returns (Limits memory x) {
        uint256 each = 0;
        for (uint256 i = 0; i < 16; ++i) {
            each |= 1 << 16 * i;
        }
        x.riskHigh = RISK_BOX_HIGH;
        x.riskMaxRise = each * LANE_MAX;
        x.riskMaxFall = each * 40;
        x.marketLow = MARKET_BOX_LOW;
        x.marketHigh = MARKET_BOX_HIGH;
        x.marketMaxRise = (each * LANE_MAX | PRICE_MAX << PRICE_SHIFT) & ~MARKET_FORBIDDEN;
        x.marketMaxFall = x.marketMaxRise;
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
        RiskOracle.State memory s = oracle.state();
        (r.epoch, r.round, r.modelSet, r.policy) = (s.epoch, round, s.modelSet, s.policyDigest);
        r.memberBitmap = ALL_BUT_LAST;
        r.words = new uint256[][](3);
        (r.words[0], r.words[1], r.words[2]) = (a, b, c);
    }

    function digestOf(Report memory r, uint256[] memory words) internal view returns (bytes32) {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Margrave"),
                keccak256("1"),
                block.chainid,
                address(oracle)
            )
        );
        bytes32 struct_ = keccak256(
            abi.encode(
                oracle.OWN_WORDS_TYPEHASH(),
                r.epoch,
                r.round,
                r.firstMarket,
                r.modelSet,
                r.policy,
                keccak256(abi.encodePacked(words))
            )
        );
        return keccak256(abi.encodePacked(hex"1901", domain, struct_));
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
