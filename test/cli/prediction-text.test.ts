import { describe, expect, test } from "bun:test";
import { predictionText, recordsOf } from "../../cli/prediction-text.ts";

const records = [
  { index: 0, prediction: "yes", probabilities: { no: 0.25, yes: 0.75 }, logits: [0, 1] },
  { index: 1, prediction: "no", probabilities: { no: 0.5, yes: 0.5 }, logits: [0, 0] },
];
const kept = [
  { text: 'he said "go", twice', n: 3 },
  { text: "two\nlines\tand a tab", n: null },
];

describe("a record", () => {
  test("has its row's kept cells after what identifies it", () => {
    expect(Object.keys(recordsOf(records, kept)[0]!)).toEqual([
      "index",
      "text",
      "n",
      "prediction",
      "probabilities",
      "logits",
    ]);
    expect(recordsOf(records, undefined, "test")[1]).toEqual({ split: "test", ...records[1] });
  });

  test("keeps a column that is named like a part of it, under another name", () => {
    const cells = [{ prediction: 1, probability_yes: 2, input_prediction: 3, split: 4 }];
    expect(recordsOf(records.slice(0, 1), cells, "test")[0]).toEqual({
      split: "test",
      ...records[0],
      input_prediction: 1,
      input_probability_yes: 2,
      input_input_prediction: 3,
      input_split: 4,
    });
  });

  test("has the input's own index or id instead of the row's number", () => {
    const [record] = recordsOf(records.slice(0, 1), [{ index: "a7", text: "x" }]);
    expect(Object.entries(record!).slice(0, 2)).toEqual([
      ["index", "a7"],
      ["text", "x"],
    ]);
  });
});

describe("a file", () => {
  test("of JSON lines has every record whole", () => {
    const { text } = predictionText(records, "jsonl");
    expect(
      text
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line)),
    ).toEqual(records);
  });

  test("of CSV has a header, a column per class, and quotes where they are needed", () => {
    expect(predictionText(recordsOf(records, kept), "csv")).toEqual({
      text:
        "index,text,n,prediction,probability_no,probability_yes\n" +
        '0,"he said ""go"", twice",3,yes,0.25,0.75\n' +
        '1,"two\nlines\tand a tab",,no,0.5,0.5\n',
      warnings: [],
    });
  });

  test("of TSV has no quotes, and says which cells had tabs or line breaks", () => {
    expect(predictionText(recordsOf(records, kept), "tsv")).toEqual({
      text:
        "index\ttext\tn\tprediction\tprobability_no\tprobability_yes\n" +
        '0\the said "go", twice\t3\tyes\t0.25\t0.75\n' +
        "1\ttwo lines and a tab\t\tno\t0.5\t0.5\n",
      warnings: ["tabs and line breaks in 1 cell became spaces: TSV has none, .csv keeps them"],
    });
  });

  test("has the columns of all rows, and nested cells as JSON", () => {
    const rows = recordsOf(records, [{ a: [1, "x"] }, { b: { c: 2 } }]);
    const [header, first, second] = predictionText(rows, "csv").text.split("\n");
    expect([header, first, second]).toEqual([
      "index,a,prediction,probability_no,probability_yes,b",
      '0,"[1,""x""]",yes,0.25,0.75,',
      '1,,no,0.5,0.5,"{""c"":2}"',
    ]);
  });
});
