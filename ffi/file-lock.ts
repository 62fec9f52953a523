import { read } from "bun:ffi";
import { constants } from "node:os";
import { libc, pointerAt } from "./libc.ts";

const LOCK_EX = 2;
const LOCK_NB = 4;

const ERRNO_LOCATION = "__errno_location"; // glibc's errno, of the calling thread

/** "unsupported": the file system has no locks. */
export type LockOutcome = "locked" | "busy" | "unsupported";

/**
 * Locks an open file for this process (flock). The system releases the lock when the file is closed
 * or the process ends, however it ends.
 */
export function tryLock(fd: number): LockOutcome {
  for (;;) {
    if (libc.flock(fd, LOCK_EX | LOCK_NB) === 0) return "locked";
    const errno = read.i32(pointerAt(Number(libc[ERRNO_LOCATION]())));
    if (errno === constants.errno.EWOULDBLOCK) return "busy";
    if (errno !== constants.errno.EINTR) return "unsupported";
  }
}
