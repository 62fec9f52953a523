import { expect, test } from "bun:test";
import { constants } from "node:os";
import { join } from "node:path";
import { createCpuBackend } from "../../ffi/cpu/backend.ts";
import { libc } from "../../ffi/libc.ts";
import { withoutSignals } from "../../ffi/signals.ts";
import { available } from "../helpers/available.ts";

const { SIGINT, SIGPWR, SIGSEGV, SIGTERM, SIGUSR2 } = constants.signals;
const [SIG_BLOCK, SIG_SETMASK] = [0, 2];
/** Signals of a process, to be held; SIGPWR is how Bun suspends one of its own threads. */
const HELD = [SIGINT, SIGTERM, SIGUSR2];

/** The first word of a sigset_t of 128 bytes; signal n is bit n - 1. */
const setOf = (...members: number[]) => {
  const words = new BigUint64Array(new ArrayBuffer(128));
  words[0] = members.reduce((bits, signal) => bits | (1n << BigInt(signal - 1)), 0n);
  return words;
};
const membersOf = (bits: bigint) =>
  [...HELD, SIGPWR, SIGSEGV].filter((signal) => ((bits >> BigInt(signal - 1)) & 1n) === 1n);

/** What this thread blocks, as `read`, sigprocmask itself, finds it. */
function blocked(read: (how: number, set: null, old: BigUint64Array) => number): number[] {
  const mask = setOf();
  read(SIG_BLOCK, null, mask);
  return membersOf(mask[0] ?? 0n);
}

test("signals are held while a function runs, but for faults and the engine's own, and then as they were before", () => {
  const before = setOf();
  libc.sigprocmask(SIG_BLOCK, setOf(SIGUSR2), before);
  const during = blocked(withoutSignals(libc.sigprocmask));
  const after = blocked(libc.sigprocmask);
  libc.sigprocmask(SIG_SETMASK, before, null); // before anything is expected: children inherit the mask
  expect([during, after]).toEqual([HELD, [SIGUSR2]]);
  const fails = withoutSignals(() => {
    throw new Error("a bad argument");
  });
  expect(fails).toThrow("a bad argument");
  expect(blocked(libc.sigprocmask)).toEqual([]);
});

/** What OpenMP's threads block that `call` starts, in a process of its own. They bear the name of the thread that starts them. */
function blockedByTeam(call: string): number[][] {
  const cpu = join(import.meta.dir, "../../ffi/cpu");
  const script = `
    import { readdirSync, readFileSync } from "node:fs";
    import { createCpuBackend } from ${JSON.stringify(join(cpu, "backend.ts"))};
    import { openOpenMp } from ${JSON.stringify(join(cpu, "openmp.ts"))};
    const backend = await createCpuBackend({ threads: 1 });
    openOpenMp(undefined).setThreads(3); // createCpuBackend would start them itself
    const n = 512;
    const [x, y, z] = [1, 2, 3].map(() => backend.alloc("f32", n * n));
    for (const each of [x, y, z]) backend.zero(each);
    const team = () => readdirSync("/proc/self/task").filter((id) =>
      readFileSync("/proc/self/task/" + id + "/comm", "utf8") === readFileSync("/proc/self/comm", "utf8"));
    const before = team();
    await ${call};
    for (const id of team().filter((each) => !before.includes(each)))
      console.log(/SigBlk:\\t(\\w+)/.exec(readFileSync("/proc/self/task/" + id + "/status", "utf8"))[1]);`;
  const { stdout } = Bun.spawnSync([process.execPath, "-e", script]);
  const lines = stdout.toString().trim().split("\n");
  return lines.map((bits) => membersOf(BigInt(`0x${bits}`)));
}

/** How a process ends that multiplies while signals pour in. */
async function floodedProducts(): Promise<string> {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "flooded-products.ts")], {
    stdout: "pipe",
    stderr: "pipe",
  });
  await child.stdout.getReader().read(); // it listens now
  while (child.exitCode === null && child.signalCode === null) {
    for (let i = 0; i < 20; i++) child.kill("SIGUSR2");
    await Bun.sleep(0);
  }
  return `${child.exitCode ?? child.signalCode}`;
}

const { backend, reason } = await available(() => createCpuBackend({ threads: 2 }));

if (backend === undefined) test.skip(`signals beside the CPU backend (${reason})`, () => {});
else {
  test("OpenMP's threads take no signals, whether opening, a kernel or a product starts them", () => {
    expect(blockedByTeam("createCpuBackend({ threads: 3 })")).toEqual([HELD, HELD]);
    expect(blockedByTeam("backend.scale(x, 2, y)")).toEqual([HELD, HELD]);
    const all = [...HELD, SIGPWR];
    expect(blockedByTeam("backend.gemm(x, y, z, { m: n, n, k: n })")).toEqual([all, all]);
  });

  test("signals during products leave the heap whole", async () => {
    expect(await floodedProducts()).toBe("0");
  });
}
