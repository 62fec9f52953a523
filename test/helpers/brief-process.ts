/**
 * Environment of a process that trains a tiny model for a second: it ends before the code of the
 * engine's last compiler pays, without which it takes a fifth less processor time.
 */
export const briefProcess = { BUN_JSC_useFTLJIT: "0" } as const;
