import { fields, type FieldName } from "./lanes.js";

/** A market's two words, as `read` and `effective` give them. */
export interface Words {
  readonly risk: bigint;
  readonly market: bigint;
}

/** Whether a market's words may be used: FRESH and AGING may. */
export const Status = { EMPTY: 0, FRESH: 1, AGING: 2, STALE: 3, HALTED: 4 } as const;
export type Status = (typeof Status)[keyof typeof Status];

const STAMP_SHIFT = 160n;
const STAMP_MAX = 0xffff_ffffn;
const PACKED_STATUS_SHIFT = 32n + 12n;

/** Whether a contract should take on risk by words of this status. */
export function isUsable(status: number): boolean {
  return status === Status.FRESH || status === Status.AGING;
}

/** One figure exactly: an integer with `fields[name].decimals` decimals, as the adapters' answers are. */
export function exact(name: FieldName, words: Words): bigint {
  const field = fields[name];
  const word = field.word === "risk" ? words.risk : words.market;
  const count = (word >> BigInt(field.shift)) & ((1n << BigInt(field.bits)) - 1n);
  return (count - BigInt(field.excess)) * BigInt(field.step);
}

/** One figure in its own unit: shares as fractions, prices in dollars. For people and charts, not for accounts. */
export function figure(name: FieldName, words: Words): number {
  return Number(exact(name, words)) / 10 ** fields[name].decimals;
}

/** Every figure of a market, in its own unit. */
export function figures(words: Words): Record<FieldName, number> {
  const all = Object.keys(fields) as FieldName[];
  return Object.fromEntries(all.map((name) => [name, figure(name, words)])) as Record<FieldName, number>;
}

/** When the market was observed, Unix seconds; zero for a market that was never published. */
export function observedAt(words: Words): number {
  return Number((words.market >> STAMP_SHIFT) & STAMP_MAX);
}

/** The status that `readPacked` puts into the market word. Words from other reads do not carry it. */
export function packedStatus(market: bigint): number {
  return Number((market >> PACKED_STATUS_SHIFT) & 7n);
}
