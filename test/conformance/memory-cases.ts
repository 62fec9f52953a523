import type { HostTensor } from "../../core/backend.ts";
import { startDownload } from "../../core/backend/start-download.ts";
import { wave } from "../helpers/wave.ts";
import type { Case } from "./cases.ts";

/** A tensor as in a file: `shift` bytes into a larger block. */
function tensor(dtype: string, numbers: NodeJS.TypedArray, shift: number): HostTensor {
  const block = new Uint8Array(new ArrayBuffer(numbers.byteLength + shift + 8));
  const bytes = block.subarray(shift, shift + numbers.byteLength);
  bytes.set(new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength));
  return { dtype, shape: [numbers.length], bytes };
}

/**
 * 0, the smallest and a larger subnormal, the smallest normal, 1, -2, the largest, 1/3 and infinity
 * as IEEE halves.
 */
const HALVES = [0, 1, 0x3ff, 0x400, 0x3c00, 0xc000, 0x7bff, 0x3555, 0x7c00, 0xfc00];

const stored = (n: number, shift: number): HostTensor[] => [
  tensor("F32", Float32Array.from(wave(n, 1)), shift),
  tensor("F64", wave(n, 1).map(Math.fround), shift),
  tensor(
    "F16",
    Uint16Array.from({ length: n }, (_, i) => HALVES[i % HALVES.length]!),
    shift,
  ),
  tensor(
    "BF16",
    Uint16Array.from({ length: n }, (_, i) => 0x3f80 + ((i * 37) % 0x200)),
    shift,
  ),
];

/** Small and large (usable in place); aligned and unaligned. */
const adopted: Case[] = [5, 33, 40_001].flatMap((n) =>
  [0, 4, 1].flatMap((shift) =>
    stored(n, shift).map((weight): Case => ({
      name: `adopt ${weight.dtype} ${n}, ${shift} bytes in`,
      entry: "adopt",
      run({ backend, output }) {
        const buffer = backend.adopt(weight, backend.activation);
        backend.scale(buffer, 1, output("twice read", "activation", n));
        backend.scale(buffer, 2, output("doubled", "activation", n));
        backend.free(buffer);
      },
    })),
  ),
);

/** Allocation and transfers. */
export const memoryCases: readonly Case[] = [
  ...adopted,
  {
    name: "zero of a part leaves the rest",
    entry: "zero",
    run({ backend, inOut }) {
      backend.zero(backend.view(inOut("x", "master", wave(40, 1)), 3, 33));
    },
  },
  {
    name: "copy of a part leaves the rest",
    entry: "copy",
    run({ backend, input, inOut }) {
      const from = backend.view(input("master", wave(40, 1)), 5, 17);
      backend.copy(backend.view(inOut("x", "master", wave(40, 2)), 9, 17), from);
    },
  },
  {
    name: "a started download holds the values of its time, in whatever order it is awaited",
    entry: "download",
    run({ backend, input, inOut, output }) {
      const [x, y] = [inOut("x", "master", wave(300, 1)), inOut("y", "activation", wave(77, 2))];
      const waits = [startDownload(backend, x), startDownload(backend, y)];
      backend.copy(backend.view(x, 100, 150), input("master", wave(150, 3)));
      backend.zero(y);
      waits.push(startDownload(backend, backend.view(x, 3, 250)));
      for (const i of [2, 0, 1]) {
        const values = waits[i]!();
        const copy = output(`download ${i}`, i === 1 ? "activation" : "master", values.length);
        backend.upload(copy, values);
      }
    },
  },
  {
    name: "transfers of no elements",
    entry: "upload",
    run({ backend, result }) {
      const { activation, master } = backend;
      const dtypes = { integers: "i32", activations: activation, masters: master } as const;
      for (const [name, dtype] of Object.entries(dtypes)) {
        const none = backend.alloc(dtype, 0);
        backend.upload(none, []);
        backend.copy(none, none);
        result(`no ${name}`, none);
      }
    },
  },
  {
    name: "copy of integers",
    entry: "copy",
    run({ backend, input, result }) {
      const to = backend.alloc("i32", 3);
      backend.copy(to, input("i32", [1, -2, 2 ** 31 - 1]));
      result("integers", to);
    },
  },
];
