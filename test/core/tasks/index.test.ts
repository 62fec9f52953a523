import { expect, test } from "bun:test";
import { kindOf, taskNames } from "../../../core/config/task-names.ts";
import { builtInTasks, taskNamed } from "../../../core/tasks/index.ts";
import { spanTask } from "../../../core/tasks/span-task.ts";
import type { TaskDefinition } from "../../../core/tasks/task.ts";
import { optionsOf } from "./span-fixtures.ts";

test("the settings know every built-in task by name and kind", () => {
  const names = builtInTasks.map(({ name }) => name);
  expect(names.toSorted()).toEqual(taskNames.toSorted());
  for (const definition of builtInTasks) {
    const { name, kind } = definition;
    expect([name, kind]).toEqual([name, kindOf(name)]);
    const task = definition.create(optionsOf());
    const isSequence = task.kind === "classification" || task.kind === "regression";
    expect([task.name, isSequence ? "sequence" : task.kind]).toEqual([name, kind]);
  }
});

test("a registry can be passed in; its tasks get the options", () => {
  const trivia: TaskDefinition = {
    name: "trivia",
    kind: "span",
    create: (options) => ({ ...spanTask("squad", options), name: "trivia" }),
  };
  const task = taskNamed("trivia", optionsOf({ spanPadding: "uniform" }), [trivia]);
  expect([task.name, task.spec(undefined).paddedQueries]).toEqual(["trivia", "uniform"]);
  expect(() => taskNamed("squad", optionsOf(), [trivia])).toThrow(
    '--task must be one of trivia, got "squad"',
  );
  expect(() => taskNamed("trivia", optionsOf())).toThrow('got "trivia"');
});
