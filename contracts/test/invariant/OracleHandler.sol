// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IRiskOracle} from "../../src/interfaces/IRiskOracle.sol";
import {Config, ReportKind, Settings} from "../../src/oracle/Config.sol";
import "../../src/oracle/Lanes.sol";
import {Limits, Policy, Timing} from "../../src/oracle/Policy.sol";
import {Registry} from "../../src/oracle/Registry.sol";
import {RiskOracle} from "../../src/oracle/RiskOracle.sol";
import {Stamp} from "../../src/oracle/Stamp.sol";
import {AccessManager} from "@openzeppelin/contracts/access/manager/AccessManager.sol";
import {OracleSetup} from "../oracle/OracleSetup.sol";

/// @dev Committees, a governor, a guardian, strangers and thieves at work on one oracle of four markets (2 and 3 are a
/// group, 1 has a ring). Each action judges what it did to the stored words: a breach reverts, and forge is told to
/// take every revert for a failure.
contract OracleHandler is OracleSetup {
    using Stamp for uint256;

    uint256 private constant MARKETS = 4;
    uint256 private constant KEYS = 7;
    uint64 private constant GUARDIAN_ROLE = 2;
    address private constant GUARDIAN = address(0x6a4d);
    address private constant STRANGER = address(0xbad);

    /// @dev One way of the words from a whole take on: what each risk lane lost since, and when it began.
    struct Path {
        uint256 since;
        bytes32 limits;
        uint256[16] lost;
    }

    Registry public rules;
    mapping(address member => uint256 key) private _keyOf;
    mapping(uint256 id => uint256) public risk;
    mapping(uint256 id => uint256) public market;
    mapping(uint256 id => Path) private _path;
    bytes[] private _publications;

    uint256 public published;
    uint256 public limited;
    uint256 public halted;
    uint256 public forgeries;
    uint256 public replays;
    uint256 public rotations;

    constructor() {
        vm.warp(START);
        manager = new AccessManager(address(this));
        rules = new Registry(address(manager));
        oracle = new RiskOracle(address(manager), address(rules), uint32(PERIOD), 5400, 14_400);
        rules.connect(address(oracle));
        for (uint256 i = 0; i < KEYS; ++i) {
            _keyOf[vm.addr(1000 + i)] = 1000 + i;
        }
        rules.setTiming(timing(), 0);
        rules.setClass(0, _limits(40, 400), 0);
        rules.setMarkets(0, new uint8[](MARKETS), 0);
        uint8[] memory one = new uint8[](1);
        one[0] = 3;
        rules.setRings(1, one, 0);
        uint8[] memory pair_ = new uint8[](2);
        (pair_[0], pair_[1]) = (1, 1);
        rules.setGroups(2, pair_, 0);
        rules.approveModelSet(MODELS, "ipfs://models");
        rules.setEpoch(_committee(0, 4), 3, MODELS, 0);
        bytes4[] memory safe = new bytes4[](3);
        (safe[0], safe[1], safe[2]) =
        (Registry.pause.selector, Registry.removeMember.selector, Registry.tightenClass.selector);
        manager.setTargetFunctionRole(address(rules), safe, GUARDIAN_ROLE);
        bytes4[] memory stop = new bytes4[](1);
        stop[0] = RiskOracle.halt.selector;
        manager.setTargetFunctionRole(address(oracle), stop, GUARDIAN_ROLE);
        manager.grantRole(GUARDIAN_ROLE, GUARDIAN, 0);
    }

    function setUp() public override {}

    function theOracle() external view returns (RiskOracle) {
        return oracle;
    }

    // --- committees -------------------------------------------------------------------------------------------------

    function publishes(uint256 seed) external {
        _wait(seed);
        (Settings memory x, uint32 epoch) = _binding();
        if (x.members.length == 0) return;
        bytes memory call_ = _publication(x, epoch, seed, false);
        (bool ok,) = address(oracle).call(call_);
        if (!ok) return _requireUntouched();
        ++published;
        if (_publications.length < 32) _publications.push(call_);
        else _publications[seed % 32] = call_;
        _judgeWrites(x);
    }

    /// @dev One signature of another key, twice the same member, a member who has left, or other words than signed.
    function forges(uint256 seed) external {
        _wait(seed);
        (Settings memory x, uint32 epoch) = _binding();
        if (x.members.length == 0) return;
        (bool ok,) = address(oracle).call(_publication(x, epoch, seed, true));
        check(!ok, "a forgery was taken");
        ++forgeries;
        _requireUntouched();
    }

    function replaysAnything(uint256 seed) external {
        if (_publications.length == 0) return;
        (bool ok,) = address(oracle).call(_publications[seed % _publications.length]);
        check(!ok, "a replay was taken");
        ++replays;
        _requireUntouched();
    }

    function waits(uint256 seed) external {
        _wait(seed << 8);
    }

    // --- governance -------------------------------------------------------------------------------------------------

    function changesLimits(uint256 seed) external {
        _flush();
        rules.setClass(0, _limits(within(seed, 1, 200), within(seed >> 32, 0, 2000)), _from(seed >> 64));
        _requireUntouched();
    }

    function changesBounds(uint256 seed) external {
        _flush();
        Limits memory x = _limits(40, 400);
        x.riskHigh = LaneWise.filled(within(seed, 3000, LANE_MAX)) & x.riskHigh;
        x.riskHigh = _below(x.riskHigh);
        rules.setClass(0, x, _from(seed >> 64));
        _requireUntouched();
    }

    function rotates(uint256 seed) external {
        _flush();
        uint256 n = within(seed, 4, 6);
        rules.setEpoch(_committee(seed >> 8, n), uint8(2 * n / 3 + 1), MODELS, _from(seed >> 64));
        ++rotations;
        _requireUntouched();
    }

    function changesTiming(uint256 seed) external {
        _flush();
        rules.setTiming(Timing(30, 900, uint32(within(seed, 0, 600))), _from(seed >> 64));
        _requireUntouched();
    }

    function unpauses() external {
        rules.unpause();
        _requireUntouched();
    }

    function resumes(uint256 seed) external {
        uint16 id = uint16(seed % MARKETS);
        (uint256 oldRisk, uint256 oldMarket,,) = oracle.read(id);
        if (!oldMarket.has(Stamp.HALT)) return;
        oracle.resume(id);
        (uint256 newRisk, uint256 newMarket,, IRiskOracle.Status status) = oracle.read(id);
        check(newRisk == oldRisk && newMarket.unstamped() == oldMarket.unstamped(), "resume changed a figure");
        check(status == IRiskOracle.Status.STALE || status == IRiskOracle.Status.EMPTY, "resumed, but usable");
        (market[id], _path[id].since) = (newMarket, 0);
        _requireUntouched();
    }

    // --- the guardian -----------------------------------------------------------------------------------------------

    function pauses() external {
        vm.prank(GUARDIAN);
        rules.pause();
        _requireUntouched();
    }

    function halts(uint256 seed) external {
        uint16 id = uint16(seed % MARKETS);
        (, uint256 word,,) = oracle.read(id);
        if (word.has(Stamp.HALT)) return;
        vm.prank(GUARDIAN);
        oracle.halt(id);
        market[id] |= Stamp.HALT << FLAGS_SHIFT;
        check(statusOf(id) == IRiskOracle.Status.HALTED, "halted");
        _requireUntouched();
    }

    function removes(uint256 seed) external {
        (Settings memory x,) = _binding();
        if (x.members.length <= x.quorum) return;
        vm.prank(GUARDIAN);
        try rules.removeMember(x.members[seed % x.members.length]) {} catch {} // a pending epoch may hold it
        _requireUntouched();
    }

    function tightens(uint256 seed) external {
        _flush();
        (Settings memory x,) = _binding();
        Limits memory wanted = x.classes[0];
        uint256 slower = LaneWise.filled(within(seed, 0, 100));
        wanted.riskMaxFall = LaneWise.lesser(wanted.riskMaxFall, slower);
        vm.prank(GUARDIAN);
        rules.tightenClass(0, wanted);
        _requireUntouched();
    }

    /// @dev The guardian may not do what governance does.
    function guardianOversteps(uint256 seed) external {
        bytes[] memory calls = _restricted(seed);
        bytes memory one = calls[seed % (calls.length - 1)]; // the last, `halt`, is the guardian's
        vm.prank(GUARDIAN);
        (bool ok,) = (seed % (calls.length - 1) == 0 ? address(oracle) : address(rules)).call(one);
        check(!ok, "the guardian did governance's work");
        Limits memory looser = _limits(40, 400);
        looser.riskMaxFall = LaneWise.filled(201 + seed % 1000);
        vm.prank(GUARDIAN);
        (ok,) = address(rules).call(abi.encodeCall(Registry.tightenClass, (0, looser)));
        check(!ok, "the guardian loosened");
        _requireUntouched();
    }

    function strangerTries(uint256 seed) external {
        bytes[] memory calls = _restricted(seed);
        uint256 which = seed % calls.length;
        vm.prank(STRANGER);
        (bool ok,) = (which == 0 || which == calls.length - 1 ? address(oracle) : address(rules)).call(calls[which]);
        check(!ok, "a stranger governed");
        _requireUntouched();
    }

    // --- reading ----------------------------------------------------------------------------------------------------

    /// @dev I7: while nobody publishes, requirements that follow from the words only tighten.
    function growsOld(uint256 seed) external {
        (uint256[MARKETS] memory risks, uint256[MARKETS] memory markets) = _effective();
        vm.warp(block.timestamp + within(seed, 0, 9000));
        round = uint32(block.timestamp / PERIOD);
        (uint256[MARKETS] memory laterRisks, uint256[MARKETS] memory laterMarkets) = _effective();
        for (uint256 id = 0; id < MARKETS; ++id) {
            check(LaneWise.noneBelow(laterRisks[id], risks[id], ~RISK_FORBIDDEN), "a risk lane eased with age");
            uint256 now_ = laterMarkets[id] >> CONFIDENCE_SHIFT & LANE_MAX;
            check(now_ <= markets[id] >> CONFIDENCE_SHIFT & LANE_MAX, "confidence grew with age");
            check(LaneWise.noneBelow(laterMarkets[id], markets[id], MARKET_TIGHTENS_UP), "a market lane eased");
            check(Policy.coherent(laterRisks[id], laterMarkets[id].unstamped()), "ageing crossed lanes");
        }
    }

    // --- what every write must be -----------------------------------------------------------------------------------

    function _judgeWrites(Settings memory x) private {
        uint256 stamp = uint256(round) * PERIOD;
        bool[MARKETS] memory written;
        for (uint16 id = 0; id < MARKETS; ++id) {
            (uint256 newRisk, uint256 newMarket,,) = oracle.read(id);
            (uint256 oldRisk, uint256 oldMarket) = (risk[id], market[id]);
            if (newRisk == oldRisk && newMarket == oldMarket) continue;
            if (newMarket == oldMarket | Stamp.HALT << FLAGS_SHIFT && newRisk == oldRisk) {
                ++halted;
                market[id] = newMarket;
                continue;
            }
            written[id] = true;
            check(!oldMarket.has(Stamp.HALT), "a halted market was written");
            same(newMarket.observedAt(), stamp, "observed at its round");
            check(stamp > oldMarket.observedAt(), "time of observation goes forward");
            check(stamp <= block.timestamp + x.timing.maxSkew, "not of the future");
            check(!newMarket.has(Stamp.HALT) && !newMarket.has(Stamp.RESUMED), "clean flags");
            check(Policy.coherent(newRisk, newMarket.unstamped()), "coherent");
            _judgeStep(x, id, oldRisk, oldMarket, newRisk, newMarket);
            if (newMarket.has(Stamp.LIMITED)) ++limited;
            (risk[id], market[id]) = (newRisk, newMarket);
        }
        check(written[2] == written[3], "a group was torn");
        _requireUntouched();
    }

    function _judgeStep(
        Settings memory x,
        uint256 id,
        uint256 oldRisk,
        uint256 oldMarket,
        uint256 newRisk,
        uint256 newMarket
    ) private {
        Limits memory limits_ = x.classes[0];
        Path storage path = _path[id];
        bool whole = !oldMarket.isWritten() || oldMarket.has(Stamp.RESUMED);
        // What lies outside changed bounds is stepped from the bound.
        oldRisk = LaneWise.greater(LaneWise.lesser(oldRisk, limits_.riskHigh), limits_.riskLow);
        bytes32 terms = keccak256(abi.encode(limits_.riskMaxFall, limits_.riskDaily, x.paused));
        if (!whole) {
            check(newMarket.observedAt() - oldMarket.observedAt() >= x.timing.minInterval, "least interval");
        }
        if (whole || path.limits != terms) {
            uint256[16] memory none;
            // Counted from the stored observation: the budget of the time before it has been spent or lost.
            (path.since, path.limits, path.lost) =
            (whole ? newMarket.observedAt() : oldMarket.observedAt(), terms, none);
            if (whole) return;
        }
        uint256 elapsed = newMarket.observedAt() - path.since;
        for (uint256 i = 0; i < 16; ++i) {
            uint256 was = oldRisk >> 16 * i & LANE_MAX;
            uint256 now_ = newRisk >> 16 * i & LANE_MAX;
            if (now_ < was) path.lost[i] += was - now_;
            uint256 fall = limits_.riskMaxFall >> 16 * i & LANE_MAX;
            uint256 daily = limits_.riskDaily >> 16 * i & LANE_MAX;
            check(was <= now_ + (x.paused ? 0 : fall), "loosened by more than a step, or while paused");
            if (daily == LANE_MAX || x.paused) continue;
            // The clock of the budget ticks 65,536 times a day: one unit at either end.
            check(path.lost[i] <= daily * elapsed / 1 days + 2, "loosened by more than the daily budget");
        }
    }

    function _requireUntouched() private view {
        for (uint16 id = 0; id < MARKETS; ++id) {
            (uint256 r, uint256 m,,) = oracle.read(id);
            check(r == risk[id] && m == market[id], "words changed without a quorum");
        }
    }

    // --- the tools --------------------------------------------------------------------------------------------------

    function _publication(Settings memory x, uint32 epoch, uint256 seed, bool forged)
        private
        view
        returns (bytes memory)
    {
        uint256 bitmap = _someQuorum(x, seed);
        uint16 first = uint16(seed >> 240) % 4 == 0 ? uint16(seed >> 244) % 4 : 0;
        uint256 count = MARKETS - first;
        uint256[] memory words = new uint256[](x.quorum * count * 2);
        bytes32[] memory rvs = new bytes32[](2 * uint256(x.quorum));
        uint256 victim = seed % x.quorum;
        uint256 seat = 0;
        for (uint256 index = 0; index < x.members.length; ++index) {
            if (bitmap >> index & 1 == 0) continue;
            uint256[] memory own = _figures(seed, seat, first, count);
            Report memory r =
                Report(epoch, round, first, x.modelSet, Config.policyDigest(x), bitmap, new uint256[][](0));
            uint256 key = _keyOf[x.members[index]];
            bytes32 digest = digestOf(r, own);
            if (forged && seat == victim) (key, digest) = _forged(x, r, own, index, key, digest, seed >> 128);
            (rvs[2 * seat], rvs[2 * seat + 1]) = signedBy(key, digest);
            for (uint256 j = 0; j < own.length; ++j) {
                words[seat * own.length + j] = own[j];
            }
            ++seat;
        }
        return abi.encodeCall(RiskOracle.publish, (round, first, bitmap, rvs, words));
    }

    function _forged(
        Settings memory x,
        Report memory r,
        uint256[] memory own,
        uint256 index,
        uint256 key,
        bytes32 digest,
        uint256 how
    ) private view returns (uint256, bytes32) {
        if (how % 6 == 0) return (0xBAD, digest);
        if (how % 6 == 1) return (_keyOf[x.members[(index + 1) % x.members.length]], digest);
        if (how % 6 == 2) r.epoch += 1;
        if (how % 6 == 3) r.round -= 1;
        if (how % 6 == 4) r.modelSet = bytes32(uint256(1));
        if (how % 6 == 5) r.policy = bytes32(uint256(1));
        return (key, digestOf(r, own));
    }

    /// @dev Around what is stored; now and then a jump, a cross-over, an abstention or doubt.
    function _figures(uint256 seed, uint256 seat, uint256 first, uint256 count)
        private
        pure
        returns (uint256[] memory own)
    {
        own = new uint256[](2 * count);
        for (uint256 i = 0; i < count; ++i) {
            uint256 x = uint256(keccak256(abi.encode(seed, first + i)));
            uint256 noise = uint256(keccak256(abi.encode(seed, first + i, seat)));
            own[2 * i] = riskWord(within(x, 20, 400) + noise % 5);
            own[2 * i + 1] = marketWord(within(x >> 16, 45_000e8, 75_000e8) + noise % 1e8);
            if (x >> 32 & 31 == 0) own[2 * i] |= LANE_MAX << CASCADE_SIZE_SHIFT; // out of any bounds
            if (x >> 40 & 31 == 0) own[2 * i] ^= 0xff << DOWN_Q975_SHIFT + 8 & ~RISK_FORBIDDEN; // incoherent
            if (x >> 48 & 15 == 0) (own[2 * i], own[2 * i + 1]) = (0, 0);
            if (x >> 56 & 15 == 0) own[2 * i + 1] &= ~(LANE_MAX << CONFIDENCE_SHIFT);
        }
    }

    function _someQuorum(Settings memory x, uint256 seed) private pure returns (uint256 bitmap) {
        bitmap = (1 << x.members.length) - 1;
        for (uint256 surplus = x.members.length - x.quorum; surplus > 0; --surplus) {
            uint256 at_ = seed % x.members.length;
            while (bitmap >> at_ & 1 == 0) at_ = (at_ + 1) % x.members.length;
            bitmap &= ~(1 << at_);
            seed >>= 3;
        }
    }

    function _binding() private view returns (Settings memory x, uint32 epoch) {
        (epoch,) = oracle.configOf(round);
        x = rules.settings(epoch);
    }

    function _committee(uint256 seed, uint256 n) private pure returns (address[] memory all) {
        all = new address[](n);
        for (uint256 i = 0; i < n; ++i) {
            all[i] = vm.addr(1000 + (seed % KEYS + i) % KEYS);
        }
    }

    function _limits(uint256 fall, uint256 daily) private pure returns (Limits memory x) {
        x = limits();
        x.riskMaxFall = LaneWise.filled(fall);
        x.riskDaily = LaneWise.filled(daily);
        x.marketLow |= 2000 << CONFIDENCE_SHIFT;
    }

    /// @dev Bounds must stay inside what the lanes mean.
    function _below(uint256 word) private pure returns (uint256) {
        return LaneWise.lesser(word, RISK_BOX_HIGH);
    }

    function _from(uint256 seed) private view returns (uint32) {
        return seed & 1 == 0 ? 0 : uint32(block.timestamp / PERIOD + within(seed >> 1, 1, 6));
    }

    /// @dev A change for later must not fall into the present of the one before it, and the guardian tightens what binds
    /// today, whatever late round is still being published.
    function _flush() private {
        round = uint32(block.timestamp / PERIOD);
    }

    function _wait(uint256 seed) private {
        vm.warp(block.timestamp + within(seed >> 200, 0, 3) * within(seed >> 208, 1, 4000));
        round = uint32(block.timestamp / PERIOD);
        if (seed >> 220 & 7 == 0) round -= uint32(within(seed >> 224, 0, 2));
    }

    function _effective() private view returns (uint256[MARKETS] memory risks, uint256[MARKETS] memory markets) {
        for (uint16 id = 0; id < MARKETS; ++id) {
            (risks[id], markets[id],,) = oracle.effective(id);
        }
    }

    function _restricted(uint256 seed) private view returns (bytes[] memory calls) {
        calls = new bytes[](9);
        calls[0] = abi.encodeCall(RiskOracle.resume, (uint16(seed % MARKETS)));
        calls[1] = abi.encodeCall(Registry.setClass, (0, _limits(200, 2000), 0));
        calls[2] = abi.encodeCall(Registry.setEpoch, (_committee(seed, 4), 3, MODELS, 0));
        calls[3] = abi.encodeCall(Registry.setTiming, (Timing(30, 900, 0), 0));
        calls[4] = abi.encodeCall(Registry.unpause, ());
        calls[5] = abi.encodeCall(Registry.setKind, (ReportKind.CO_SIGNED, 0));
        calls[6] = abi.encodeCall(Registry.setMarkets, (0, new uint8[](5), 0));
        calls[7] = abi.encodeCall(Registry.approveModelSet, (bytes32(seed), "ipfs://mine"));
        calls[8] = abi.encodeCall(RiskOracle.halt, (uint16(seed % MARKETS)));
    }
}

/// @dev Lane by lane, without the library under test.
library LaneWise {
    function filled(uint256 value) internal pure returns (uint256 word) {
        for (uint256 i = 0; i < 16; ++i) {
            word |= value << 16 * i;
        }
    }

    function lesser(uint256 a, uint256 b) internal pure returns (uint256 word) {
        for (uint256 i = 0; i < 256; i += 16) {
            (uint256 x, uint256 y) = (a >> i & LANE_MAX, b >> i & LANE_MAX);
            word |= (x < y ? x : y) << i;
        }
    }

    function greater(uint256 a, uint256 b) internal pure returns (uint256 word) {
        for (uint256 i = 0; i < 256; i += 16) {
            (uint256 x, uint256 y) = (a >> i & LANE_MAX, b >> i & LANE_MAX);
            word |= (x > y ? x : y) << i;
        }
    }

    function noneBelow(uint256 a, uint256 b, uint256 lanes) internal pure returns (bool) {
        for (uint256 i = 0; i < 256; i += 16) {
            if ((a & lanes) >> i & LANE_MAX < (b & lanes) >> i & LANE_MAX) return false;
        }
        return true;
    }
}
