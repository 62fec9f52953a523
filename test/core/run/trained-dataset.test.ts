import { expect, test } from "bun:test";
import { type Layer, resolveConfig } from "../../../core/config/run-config.ts";
import { trainedDataset } from "../../../core/run/trained-dataset.ts";

const hub = { id: "nyu-mll/glue", config: "rte" };
const datasetOf = (values: Layer["values"]) => {
  const own = { task: "rte", model: "org/base", ...values };
  return trainedDataset(resolveConfig([{ values: own, name: String }]), hub);
};

test("a run trains on the task's own data set, a named one, or local files", () => {
  expect(datasetOf({ trainLimit: 100 })).toEqual({ ...hub, wholeSplits: true });
  expect(datasetOf({ data: "org/set@main:en" })?.id).toBe("org/set");
  expect(datasetOf({ data: "org/set:en" })?.config).toBe("en");
  expect(datasetOf({ data: "nyu-mll/glue" })?.config).toBe("rte");
  expect(datasetOf({ data: "/data/rte" })).toBeUndefined();
});

test.each([
  ["limit", 100],
  ["evalLimit", 100],
  ["evalData", "/data/dev.tsv"],
  ["evalFraction", 0.1],
  ["tuneFraction", 0.1],
])("metrics with %s are not those of the data set's splits", (name, value) => {
  expect(datasetOf({ [name]: value })?.wholeSplits).toBe(false);
});
