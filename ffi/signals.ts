import { constants } from "node:os";
import { libc } from "./libc.ts";
import { checked } from "./load.ts";

const SIG_BLOCK = 0;
const SIG_SETMASK = 2;
/** sizeof(sigset_t) of glibc; signal n is bit n - 1. */
const SET_BYTES = 128;

const { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS, SIGPWR } = constants.signals;
/**
 * Left unblocked: synchronous signals of the thread itself, and SIGPWR, by which the JS engine
 * suspends its threads. Another engine thread may wait for that suspension while this one, in JS on
 * its way to the native function, waits for a lock that the other holds.
 */
const UNBLOCKED = [SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS, SIGPWR];

// ArrayBuffers: small typed arrays in the JS heap may move.
const blocked = new Uint8Array(new ArrayBuffer(SET_BYTES)).fill(0xff);
for (const signal of UNBLOCKED) blocked[(signal - 1) >> 3]! &= ~(1 << ((signal - 1) & 7));
const saved = new Uint8Array(new ArrayBuffer(SET_BYTES));

/**
 * Sets the mask of the calling thread only, like pthread_sigmask, which older versions of glibc
 * keep in another library.
 */
const setMask = checked("sigprocmask", libc.sigprocmask, () => "the system rejected the mask");

/**
 * Wraps `native` to run with signals blocked, so that OpenMP threads it starts never handle one: a
 * thread inherits its creator's mask, and the runtime starts threads whenever a team grows. For
 * kernels, whose threads also run oneDNN's products: see kernels/product-calls.c, which blocks
 * signals of the calling thread too. `native` must not call back into JS. Costs two system calls:
 * 0.5 us on a virtual machine.
 */
export const withoutSignals =
  <A extends readonly unknown[], R>(native: (...args: A) => R) =>
  (...args: A): R => {
    setMask(SIG_BLOCK, blocked, saved);
    try {
      return native(...args);
    } finally {
      setMask(SIG_SETMASK, saved, null);
    }
  };
