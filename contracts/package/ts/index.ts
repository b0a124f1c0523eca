export * from "./abi.js";
export * from "./calls.js";
export * from "./lanes.js";
export * from "./words.js";
