import { expect, test } from "bun:test";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import { ForwardPass } from "../../../core/forward-pass.ts";
import { rotaryFrequencies, uploadRotary } from "../../../core/nn/rotary.ts";

/**
 * Of torch 2.x: 1.0 / (theta ** (torch.arange(0, dim, 2, dtype=torch.float) / dim)), every
 * (dim / 8)-th, and position 8191 times these in f32.
 */
const TORCH = [
  {
    theta: 10_000,
    dim: 64,
    frequencies: [1, 0.10000000149011612, 0.009999999776482582, 0.0010000000474974513],
    angles: [8191, 819.1000366210938, 81.90999603271484, 8.190999984741211],
  },
  {
    theta: 160_000,
    dim: 64,
    frequencies: [1, 0.05000000074505806, 0.0024999999441206455, 0.0001250000059371814],
    angles: [8191, 409.5500183105469, 20.47749900817871, 1.0238749980926514],
  },
  {
    theta: 500_000,
    dim: 128,
    frequencies: [1, 0.03760603070259094, 0.001414213445968926, 5.3182957344688475e-5],
    angles: [8191, 308.031005859375, 11.583822250366211, 0.43562158942222595],
  },
] as const;

for (const { theta, dim, frequencies, angles } of TORCH)
  test(`theta ${theta}, ${dim} columns: the bits of torch's f32 frequencies and angles`, () => {
    const step = dim / 8;
    const got = rotaryFrequencies(theta, dim);
    expect(Array.from(got).filter((_, i) => i % step === 0)).toEqual([...frequencies]);

    const backend = createReferenceBackend();
    const pass = new ForwardPass(backend, { training: false });
    pass.scope(() => {
      const tables = uploadRotary(pass, [3, 8191], { theta, rotated: dim });
      expect(tables.rows).toBe(8192);
      const [cos, sin] = [backend.download(tables.cos), backend.download(tables.sin)];
      const last = (8191 * dim) / 2;
      angles.forEach((angle, i) => {
        expect(cos[last + i * step]).toBe(Math.cos(angle));
        expect(sin[last + i * step]).toBe(Math.sin(angle));
      });
    });
  });

test("an odd number of columns is a bug of the model", () => {
  const pass = new ForwardPass(createReferenceBackend(), { training: false });
  expect(() => uploadRotary(pass, [0], { theta: 10, rotated: 3 })).toThrow("in pairs");
});
