import { expect, test } from "bun:test";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import { createTrackedBackend, FreedBufferError } from "../../../core/backend/tracked.ts";

const create = () => createTrackedBackend(createReferenceBackend());

test("computes as the backend behind it, with buffers that the host can't read", () => {
  const backend = create();
  const [x, y] = [backend.alloc("f64", 3), backend.alloc("f64", 3)];
  backend.upload(x, [1, 2, 3]);
  backend.scale(x, 2, y);
  expect(Object.keys(x)).toEqual(["dtype", "length"]);
  expect([...backend.download(y)]).toEqual([2, 4, 6]);
  expect([backend.name, backend.downloads()]).toEqual(["reference", 1]);
});

test("lists what is live, with where it was allocated", () => {
  const backend = create();
  const [first, second] = [backend.alloc("f64", 3), backend.alloc("i32", 5)];
  expect(backend.liveBuffers().map(({ bytes }) => bytes)).toEqual([24, 20]);
  expect(backend.liveBuffers()[0]?.allocation.stack).toContain("tracked.test.ts");
  backend.free(first);
  backend.free(first);
  expect(backend.liveBuffers().map(({ bytes }) => bytes)).toEqual([20]);
  expect(backend.memory().live).toBe(20);
  backend.free(second);
  expect(backend.liveBuffers()).toEqual([]);
});

test("a kernel with a freed buffer throws, also within a shape, a list or a view", () => {
  const backend = create();
  const [x, y] = [backend.alloc("f64", 4), backend.alloc("f64", 4)];
  const part = backend.view(x, 1, 2);
  backend.free(x);
  expect(() => backend.zero(x)).toThrow(FreedBufferError);
  expect(() => backend.zero(part)).toThrow("zero was called with a buffer that has been freed");
  expect(() => backend.copy(y, x)).toThrow("copy was called with");
  const step = { param: x, kept: y, rows: 1, cols: 1, columns: false };
  expect(() => backend.applyMask([step])).toThrow("applyMask was called with");
});
