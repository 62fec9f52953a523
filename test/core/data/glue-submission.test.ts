import { expect, test } from "bun:test";
import { submissionText } from "../../../core/data/glue-submission.ts";
import { glueTasks } from "../../../core/data/glue-tasks.ts";

test("a submission holds class names, class indices, or clamped scores", () => {
  expect(submissionText(glueTasks.mnli, [2, 0])).toBe(
    "index\tprediction\n0\tcontradiction\n1\tentailment\n",
  );
  expect(submissionText(glueTasks.cola, [1])).toBe("index\tprediction\n0\t1\n");
  expect(submissionText(glueTasks.stsb, [-0.2, 2.71651, 5.4])).toBe(
    "index\tprediction\n0\t0.000\n1\t2.717\n2\t5.000\n",
  );
  expect(() => submissionText(glueTasks.rte, [2])).toThrow("rte has no class 2");
});
