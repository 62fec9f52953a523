import { expect, test } from "bun:test";
import { copyFileSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openCheckpoint } from "../../../core/io/checkpoint-files.ts";
import { writeSafetensors } from "../../../core/io/safetensors.ts";
import { float32Tensor } from "../../../core/io/stored-tensor.ts";
import { failure, fixture, scratchFolder } from "./scratch.ts";

const root = scratchFolder();
const scalarTensor = (value: number) => float32Tensor([1], Float32Array.of(value));

function folder(name: string): string {
  const dir = join(root, name);
  mkdirSync(dir);
  return dir;
}

const writeIndex = (path: string, map: unknown) =>
  writeFileSync(path, JSON.stringify({ metadata: { total_size: 8 }, weight_map: map }));

test("the preferred form wins: safetensors, its index, torch, its index", () => {
  const dir = folder("order");
  const files = [
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
  ] as const;
  writeSafetensors(join(dir, files[0]), new Map([["single", scalarTensor(1)]]));
  writeSafetensors(join(dir, "s-1.safetensors"), new Map([["sharded", scalarTensor(2)]]));
  writeIndex(join(dir, files[1]), { sharded: "s-1.safetensors" });
  copyFileSync(fixture("small.bin"), join(dir, files[2]));
  copyFileSync(fixture("legacy-view.bin"), join(dir, "p-1.bin"));
  writeIndex(join(dir, files[3]), { view: "p-1.bin" });
  const seen: string[] = [];
  for (const file of files) {
    const { tensors, files: from } = openCheckpoint(dir);
    seen.push(
      `${[...tensors.keys()].join()} in ${from.map((path) => path.slice(dir.length + 1)).join()}`,
    );
    rmSync(join(dir, file));
  }
  expect(seen).toEqual([
    "single in model.safetensors",
    "sharded in s-1.safetensors",
    "w in pytorch_model.bin",
    "view in p-1.bin",
  ]);
  expect(failure(() => openCheckpoint(dir)).message).toBe(
    `${dir}: holds no weights: looked for ${files.join(", ")}`,
  );
});

test("shards: the index decides which shard a tensor comes from", () => {
  const dir = folder("shards");
  writeSafetensors(
    join(dir, "m-1.safetensors"),
    new Map([
      ["a", scalarTensor(1)],
      ["b", scalarTensor(2)],
    ]),
  );
  writeSafetensors(
    join(dir, "m-2.safetensors"),
    new Map([
      ["b", scalarTensor(3)],
      ["c", scalarTensor(4)],
    ]),
  );
  const index = join(dir, "model.safetensors.index.json");
  writeIndex(index, { a: "m-1.safetensors", b: "m-2.safetensors", c: "m-2.safetensors" });
  const { tensors, files } = openCheckpoint(dir);
  const values = [...tensors].map(([name, { bytes }]) => [
    name,
    new Float32Array(bytes.slice().buffer)[0],
  ]);
  expect(values).toEqual([
    ["a", 1],
    ["b", 3],
    ["c", 4],
  ]);
  expect(files).toHaveLength(2);

  writeIndex(index, { a: "m-1.safetensors", d: "m-2.safetensors" });
  expect(failure(() => openCheckpoint(dir)).message).toBe(
    `${index}: m-2.safetensors does not hold "d"`,
  );
  writeIndex(index, { a: "m-1.safetensors", b: "m-3.safetensors", c: "m-4.safetensors" });
  expect(failure(() => openCheckpoint(dir)).message).toBe(
    `${index}: 2 of its 3 shards are missing: m-3.safetensors, m-4.safetensors`,
  );
});

test("a shard outside the folder is refused before it is opened", () => {
  const dir = folder("escape");
  const index = join(dir, "model.safetensors.index.json");
  const names = ["../x.safetensors", "/etc/passwd", "a/../../x", "C:x", "a\\b", "", ".", "a//b", 3];
  for (const name of names) {
    writeIndex(index, { w: name });
    expect(failure(() => openCheckpoint(dir)).message).toBe(
      `${index}: "w": must name a file in the same folder, got ${JSON.stringify(name)}`,
    );
  }
  writeIndex(index, {});
  expect(failure(() => openCheckpoint(dir)).message).toContain("names no tensor");
  writeFileSync(index, "{}");
  expect(failure(() => openCheckpoint(dir)).message).toContain(`"weight_map" must be an object`);
  writeFileSync(index, "{");
  expect(failure(() => openCheckpoint(dir)).message).toContain("is not JSON");
});

test("a missing folder, or a file in its place, is reported", () => {
  expect(failure(() => openCheckpoint(join(root, "none"))).message).toBe(
    `${join(root, "none")}: does not exist`,
  );
  const file = join(root, "file");
  writeFileSync(file, "");
  const error = failure(() => openCheckpoint(file));
  expect(error.message).toBe(`${file}: is a file`);
  expect(error.hint).toBe("name the folder that holds config.json and the weights");
});
