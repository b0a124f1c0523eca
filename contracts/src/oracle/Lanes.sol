// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

// Generated from node/margrave/lanes.py by scripts/contracts: change it there.

uint256 constant LANE_MAX = 0x7fff;
uint256 constant EXCESS = 16384;
uint256 constant PRICE_SHIFT = 192;
uint256 constant PRICE_MAX = 0x7fffffffffffffff;
// Guard bit of the one wide lane, in the market word.
uint256 constant PRICE_GUARD = 0x8000000000000000000000000000000000000000000000000000000000000000;
uint256 constant STAMP_SHIFT = 160;
uint256 constant STAMP_MAX = 0xffffffff;

// loss of the index over the MPOR that is exceeded with probability 2.5 %
uint256 constant DOWN_Q975_SHIFT = 0;
// the same at 0.5 %
uint256 constant DOWN_Q995_SHIFT = 16;
// expected shortfall of the lower tail, 1 %
uint256 constant DOWN_ES99_SHIFT = 32;
// the same loss at 0.05 %
uint256 constant DOWN_Q9995_SHIFT = 48;
// expected shortfall of the lower tail, 0.1 %
uint256 constant DOWN_ES999_SHIFT = 64;
// gain of the index over the MPOR that is exceeded with probability 2.5 %
uint256 constant UP_Q975_SHIFT = 80;
// the same at 0.5 %
uint256 constant UP_Q995_SHIFT = 96;
// expected gain in the upper tail, 1 %
uint256 constant UP_ES99_SHIFT = 112;
// the same gain at 0.05 %
uint256 constant UP_Q9995_SHIFT = 128;
// expected gain in the upper tail, 0.1 %
uint256 constant UP_ES999_SHIFT = 144;
// rise of 30-day implied volatility over the MPOR, relative, 99 %
uint256 constant VOL_UP_SHIFT = 160;
// fall of 30-day implied volatility over the MPOR, relative, 99 %
uint256 constant VOL_DOWN_SHIFT = 176;
// half-spread plus impact of closing the reference size, share of notional
uint256 constant LIQUIDITY_SHIFT = 192;
// probability of a liquidation cascade within 24 h
uint256 constant CASCADE_PROBABILITY_SHIFT = 208;
// price impact of that cascade, share of price
uint256 constant CASCADE_SIZE_SHIFT = 224;
// add-on for losses that arrive from other markets and protocols, share of notional
uint256 constant CONTAGION_SHIFT = 240;
// composite risk score, 0 (calm) to 10,000
uint256 constant SCORE_SHIFT = 0;
// how far the node trusts this row, 0 to 1
uint256 constant CONFIDENCE_SHIFT = 16;
// contract flags and model-set index
uint256 constant FLAGS_SHIFT = 32;
// at-the-money sigma * sqrt(T) at 7 days
uint256 constant TOTAL_VOL_7D_SHIFT = 48;
// the same at 30 days
uint256 constant TOTAL_VOL_30D_SHIFT = 64;
// the same at 90 days
uint256 constant TOTAL_VOL_90D_SHIFT = 80;
// SSVI correlation rho, -1 to 1
uint256 constant SSVI_RHO_SHIFT = 96;
// SSVI wing b = eta * (1 + |rho|), at most 2
uint256 constant SSVI_WING_SHIFT = 112;
// SSVI decay gamma, above 0 to 1/2
uint256 constant SSVI_DECAY_SHIFT = 128;
// forward over index, annualised
uint256 constant BASIS_SHIFT = 144;

uint256 constant RISK_GUARDS = 0x8000800080008000800080008000800080008000800080008000800080008000;
// What no member may set: guards, and the lanes that the contract stamps.
uint256 constant RISK_FORBIDDEN = 0x8000800080008000800080008000800080008000800080008000800080008000;
// The lanes that the contract stamps.
uint256 constant RISK_STAMPED = 0x0000000000000000000000000000000000000000000000000000000000000000;
// Lanes whose next higher neighbour must not be smaller.
uint256 constant RISK_ASCENDING = 0x00000000000000000000000000007fff7fff7fff7fff00007fff7fff7fff7fff;
// Lanes that loosen when they fall, when they rise, and those that tighten upwards only.
uint256 constant RISK_FALL_LOOSENS = 0x7fff7fff7fff7fff7fff7fff7fff7fff7fff7fff7fff7fff7fff7fff7fff7fff;
uint256 constant RISK_RISE_LOOSENS = 0x0000000000000000000000000000000000000000000000000000000000000000;
uint256 constant RISK_TIGHTENS_UP = 0x7fff7fff7fff7fff7fff7fff7fff7fff7fff7fff7fff7fff7fff7fff7fff7fff;
// Bounds that follow from the lanes' meaning; governance's lie within.
uint256 constant RISK_BOX_LOW = 0x0000000000000000000000000000000000000000000000000000000000000000;
uint256 constant RISK_BOX_HIGH = 0x7fff271027107fff7fff7fff7fff7fff7fff7fff7fff7fff7fff7fff7fff7fff;

uint256 constant MARKET_GUARDS = 0x8000000000000000000000008000800080008000800080008000800080008000;
// What no member may set: guards, and the lanes that the contract stamps.
uint256 constant MARKET_FORBIDDEN = 0x8000000000000000ffffffff8000800080008000800080008000ffff80008000;
// The lanes that the contract stamps.
uint256 constant MARKET_STAMPED = 0x0000000000000000ffffffff0000000000000000000000000000ffff00000000;
// Lanes whose next higher neighbour must not be smaller.
uint256 constant MARKET_ASCENDING = 0x000000000000000000000000000000000000000000007fff7fff000000000000;
// Lanes that loosen when they fall, when they rise, and those that tighten upwards only.
uint256 constant MARKET_FALL_LOOSENS = 0x0000000000000000000000007fff7fff7fff7fff7fff7fff7fff000000007fff;
uint256 constant MARKET_RISE_LOOSENS = 0x0000000000000000000000007fff7fff7fff7fff00000000000000007fff0000;
uint256 constant MARKET_TIGHTENS_UP = 0x00000000000000000000000000000000000000007fff7fff7fff000000007fff;
// Bounds that follow from the lanes' meaning; governance's lie within.
uint256 constant MARKET_BOX_LOW = 0x00000000000000010000000000000000000018f0000000000000000000000000;
uint256 constant MARKET_BOX_HIGH = 0x7fffffffffffffff000000007fff13884e2067107fff7fff7fff000027102710;
