/**
 * Environment of a process that trains a tiny model for about a second. It ends before the engine's
 * optimizing compiler (FTL) pays off: without it, it takes a fifth less processor time.
 */
export const briefProcess = { BUN_JSC_useFTLJIT: "0" } as const;
