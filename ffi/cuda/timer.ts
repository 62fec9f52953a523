import type { Pointer } from "bun:ffi";
import type { Timer } from "../../core/backend.ts";
import { closeAll } from "./close-all.ts";
import type { CudaContext } from "./context.ts";
import { out, outHandle } from "./driver.ts";

/** A timer of the compute stream, by events. */
export interface StreamTimer extends Timer {
  close(): void;
}

/** Creates a timer; its events are kept to be used again. */
export function streamTimer({ driver, stream }: CudaContext): StreamTimer {
  const events: Pointer[] = [];
  let used = 0;
  const elapsed = new Float32Array(new ArrayBuffer(4));

  function event(): Pointer {
    driver.call("cuEventCreate", undefined, out, 0);
    return outHandle();
  }

  return {
    mark() {
      const made = (events[used] ??= event());
      driver.call("cuEventRecord", undefined, made, stream);
      return used++;
    },
    read(marks) {
      const found = marks.map((mark) => events[mark]!);
      const last = events[Math.max(...marks)];
      if (last !== undefined) driver.call("cuEventSynchronize", undefined, last);
      return found.map((each) => {
        driver.call("cuEventElapsedTime", undefined, elapsed, found[0]!, each);
        return elapsed[0]!;
      });
    },
    clear() {
      used = 0;
    },
    close() {
      const destroy = (each: Pointer) => driver.call("cuEventDestroy_v2", undefined, each);
      closeAll(events.splice(0).map((each) => () => destroy(each)));
    },
  };
}
