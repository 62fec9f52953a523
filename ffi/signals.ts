import { constants } from "node:os";
import { libc } from "./libc.ts";
import { checked } from "./load.ts";

const SIG_BLOCK = 0;
const SIG_SETMASK = 2;
/** sizeof(sigset_t) of glibc; signal n is bit n - 1. */
const SET_BYTES = 128;

const { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS, SIGPWR } = constants.signals;
/**
 * Not blocked: what an instruction of the thread itself raises, and SIGPWR, by which the JS engine suspends its threads. Another thread
 * of it may wait for that while this one, in JS code on its way to the native function, waits for a lock of the other's.
 */
const UNBLOCKED = [SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS, SIGPWR];

// Buffers of their own: small typed arrays of the JS heap may move.
const blocked = new Uint8Array(new ArrayBuffer(SET_BYTES)).fill(0xff);
for (const signal of UNBLOCKED) blocked[(signal - 1) >> 3]! &= ~(1 << ((signal - 1) & 7));
const saved = new Uint8Array(new ArrayBuffer(SET_BYTES));

/** Of the calling thread alone, as pthread_sigmask, which older versions of glibc keep in another library. */
const setMask = checked("sigprocmask", libc.sigprocmask, () => "the system refuses");

/**
 * `native` with the process's signals blocked, so that OpenMP threads that it starts take none, ever: a thread inherits the mask that it is
 * started under, and a runtime starts threads anew when a team grows. For kernels, whose threads oneDNN's products run on as well:
 * see kernels/product-calls.c, which holds the signals of the calling thread too. `native` must not call back into JS.
 * Two system calls: 0.5 us on a virtual machine.
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
