import { expect, test } from "bun:test";
import {
  appendFileSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { openScalars } from "../../../core/io/tensorboard.ts";
import {
  crc32c,
  scalarRecord,
  versionRecord,
  wholeRecords,
} from "../../../core/io/tensorboard-event.ts";
import { failure, fixture, scratchFolder } from "./scratch.ts";

const root = scratchFolder();
let folderCount = 0;
function fresh(): string {
  const dir = join(root, `${++folderCount}`);
  mkdirSync(dir);
  return dir;
}

const files = (dir: string) => readdirSync(dir).map((name) => join(dir, name));
const steps = (path: string) => [...wholeRecords(readFileSync(path))].map(({ step }) => step);

/**
 * A folder with the event file that TensorBoard's own writer made: version, then steps 1, 2, 300,
 * 70000.
 */
function withTensorBoardFile(): { dir: string; path: string } {
  const dir = fresh();
  const path = join(dir, "events.out.tfevents.1700000000.host.1.0");
  copyFileSync(fixture("tensorboard.tfevents"), path);
  return { dir, path };
}

test("the checksum is CRC-32C: the check value of the polynomial", () => {
  expect(crc32c(Buffer.from("123456789"))).toBe(0xe3069283);
});

test("records are TensorBoard's own, byte for byte", () => {
  const theirs = readFileSync(fixture("tensorboard.tfevents"));
  const ours = Buffer.concat([
    versionRecord(1700000000.5),
    scalarRecord(1700000001.5, 1, "train/loss", 0.5),
    scalarRecord(1700000002.5, 2, "train/loss", -1.25),
    scalarRecord(1700000003.5, 300, "Eval_rte/accuracy", 0.8736462),
    scalarRecord(1700000004.5, 70_000, "é", Infinity),
  ]);
  expect(ours.toString("hex")).toBe(theirs.toString("hex"));
});

test("a new folder gets one file that TensorBoard finds, and each point is on disk at once", () => {
  const dir = join(fresh(), "tensorboard");
  const before = Date.now() / 1000;
  const writer = openScalars(dir);
  writer.scalar("train/loss", 7, 2.5);
  const [path, ...others] = files(dir);
  expect(others).toEqual([]);
  expect(path).toMatch(/\/events\.out\.tfevents\.\d{10}\.[^/]+\.\d+\.0$/);
  expect(steps(path!)).toEqual([0, 7]);
  // Wall time is the first field of the event, after the 12 bytes of the frame and one of the key.
  const bytes = readFileSync(path!);
  const [, second] = [...wholeRecords(bytes)].map(({ end }) => end);
  const start = [...wholeRecords(bytes)][0]!.end;
  expect(second).toBe(bytes.length);
  expect(bytes.readDoubleLE(start + 13)).toBeWithin(before, before + 60);
  writer.close();
});

test("resuming keeps the points up to the step and continues the same file", () => {
  for (const [resumeAfter, kept] of [
    [70_000, [0, 1, 2, 300, 70_000]],
    [299, [0, 1, 2]],
    [0, [0]],
  ] as const) {
    const { dir, path } = withTensorBoardFile();
    const writer = openScalars(dir, { resumeAfter });
    writer.scalar("train/loss", 400, 1);
    writer.close();
    expect(files(dir)).toEqual([path]);
    expect(steps(path)).toEqual([...kept, 400]);
  }
});

test("resuming also drops a refused point and everything after it", () => {
  const { dir, path } = withTensorBoardFile();
  const tags: (string | undefined)[] = [];
  const keeps = ({ tag = "" }) => tags.push(tag) > 0 && !tag.startsWith("Eval_");
  openScalars(dir, { resumeAfter: 70_000, keeps }).close();
  expect(tags).toEqual(["", "train/loss", "train/loss", "Eval_rte/accuracy"]);
  expect(steps(path)).toEqual([0, 1, 2]);
});

test("without a step the curves start anew, and other files of the folder stay", () => {
  const { dir, path } = withTensorBoardFile();
  writeFileSync(join(dir, "notes"), "");
  const writer = openScalars(dir);
  writer.scalar("a", 1, 1);
  writer.close();
  expect(files(dir)).toHaveLength(2);
  expect(files(dir)).not.toContain(path);
  expect(files(dir)).toContain(join(dir, "notes"));
});

test("a torn last record is dropped, wherever it is torn, so the next one can be read", () => {
  const record = scalarRecord(1, 500, "x", 1);
  for (let cut = 1; cut < record.length; cut++) {
    const { dir, path } = withTensorBoardFile();
    appendFileSync(path, record.subarray(0, cut));
    const writer = openScalars(dir, { resumeAfter: 100_000 });
    writer.scalar("x", 501, 1);
    writer.close();
    expect(steps(path)).toEqual([0, 1, 2, 300, 70_000, 501]);
  }
});

test("records from the first damaged one on are dropped; a file without a complete record is replaced", () => {
  const { dir, path } = withTensorBoardFile();
  const bytes = readFileSync(path);
  bytes[[...wholeRecords(bytes)][1]!.end - 6]! ^= 1;
  writeFileSync(path, bytes);
  openScalars(dir, { resumeAfter: 100_000 }).close();
  expect(steps(path)).toEqual([0]);
  writeFileSync(path, bytes.subarray(0, 5));
  openScalars(dir, { resumeAfter: 100_000 }).close();
  expect(files(dir)).not.toContain(path);
  expect(files(dir)).toHaveLength(1);
});

test("damage at any byte never crashes the scan", () => {
  const bytes = readFileSync(fixture("tensorboard.tfevents"));
  for (let i = 0; i < bytes.length; i++) {
    const copy = Buffer.from(bytes);
    copy[i]! ^= 0xff;
    expect([...wholeRecords(copy)].length).toBeLessThan(5);
  }
});

test("a file in the folder's place is reported", () => {
  const path = join(fresh(), "file");
  writeFileSync(path, "");
  expect(failure(() => openScalars(path)).message).toStartWith(`${path}: `);
});
