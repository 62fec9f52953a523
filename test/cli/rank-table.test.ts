import { describe, expect, test } from "bun:test";
import { type MatrixRank, rankTable } from "../../cli/rank-table.ts";
import { fakeOutput } from "./fake-output.ts";

/** Ranks 0 to 4 in a pattern that differs by layer and by module. */
function ranks(stack: string, layers: number, modules: readonly string[]): MatrixRank[] {
  return Array.from({ length: layers }, (_, layer) =>
    modules.map((module, i) => ({
      path: `${stack}.${layer}.${module}`,
      module,
      rank: (layer * 2 + i * i) % 5,
      initialRank: 4,
    })),
  ).flat();
}

const deberta = ["query", "key", "value", "attention.output", "intermediate", "layer.output"];

test("layers by modules, with sums", () => {
  expect(rankTable(ranks("deberta.encoder.layer", 3, deberta), fakeOutput()))
    .toMatchInlineSnapshot(`
    "layer  query  key  value  attention.output  intermediate  layer.output    sum
        0      0    1      4                 4             1             0     10
        1      2    3      1                 1             3             2     12
        2      4    0      3                 3             0             4     14
      sum      6    4      8                 8             4             6     36

    36 of 72 ranks kept, 4 of 18 matrices at rank 0"
  `);
});

test("two stacks are two tables", () => {
  const both = [
    ...ranks("encoder.layers", 2, ["fc1", "fc2"]),
    ...ranks("decoder.layers", 1, ["fc1"]),
  ];
  expect(rankTable(both, fakeOutput())).toMatchInlineSnapshot(`
    "encoder.layers
    layer  fc1  fc2    sum
        0    0    1      1
        1    2    3      5
      sum    2    4      6

    decoder.layers
    layer  fc1    sum
        0    0      0
      sum    0      0

    6 of 20 ranks kept, 2 of 5 matrices at rank 0"
  `);
});

describe("a wide table", () => {
  const attention = ["self_attn", "encoder_attn"].flatMap((name) =>
    ["q_proj", "k_proj", "v_proj", "out_proj"].map((part) => `${name}.${part}`),
  );
  const decoder = ranks("decoder.layers", 12, [...attention, "fc1", "fc2"]);

  test("breaks its headings", () => {
    const lines = rankTable(decoder, fakeOutput({ columns: 92 })).split("\n");
    expect(lines.slice(0, 5)).toMatchInlineSnapshot(`
      [
        "       self_  self_  self_  self_  encoder_  encoder_  encoder_  encoder_",
        "       attn.  attn.  attn.  attn.     attn.     attn.     attn.     attn.",
        "          q_     k_     v_   out_        q_        k_        v_      out_",
        "layer   proj   proj   proj   proj      proj      proj      proj      proj  fc1  fc2    sum",
        "    0      0      1      4      4         1         0         1         4    4    1     20",
      ]
    `);
  });

  test("of a decoder like bart-large's fits 80 columns with its names", () => {
    const parts = ["k_proj", "v_proj", "q_proj", "out_proj"];
    const modules = [...parts, ...parts.map((name) => `cross.${name}`), "fc1", "fc2"];
    const lines = rankTable(ranks("decoder.layers", 12, modules), fakeOutput()).split("\n");
    expect(lines.slice(0, 4)).toMatchInlineSnapshot(`
      [
        "                               cross.  cross.  cross.  cross.",
        "         k_    v_    q_  out_      k_      v_      q_    out_",
        "layer  proj  proj  proj  proj    proj    proj    proj    proj  fc1  fc2    sum",
        "    0     0     1     4     4       1       0       1       4    4    1     20",
      ]
    `);
  });

  test.each([200, 92, 80, 60])("fits %p columns", (columns) => {
    const lines = rankTable(decoder, fakeOutput({ columns })).split("\n");
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(columns);
  });

  test("falls back to letters and a legend", () => {
    expect(rankTable(decoder.slice(0, 10), fakeOutput({ columns: 56 }))).toMatchInlineSnapshot(`
      "layer   a   b   c   d   e   f   g   h   i   j    sum
          0   0   1   4   4   1   0   1   4   4   1     20
        sum   0   1   4   4   1   0   1   4   4   1     20

      a  self_attn.q_proj
      b  self_attn.k_proj
      c  self_attn.v_proj
      d  self_attn.out_proj
      e  encoder_attn.q_proj
      f  encoder_attn.k_proj
      g  encoder_attn.v_proj
      h  encoder_attn.out_proj
      i  fc1
      j  fc2

      20 of 40 ranks kept, 2 of 10 matrices at rank 0"
    `);
  });
});

test("a matrix that isn't adapted is a blank, and a path without a layer is its own", () => {
  const [query, key] = ranks("layer", 2, ["query", "key"]);
  const some = [query!, { ...key!, path: "pooler", module: "dense" }];
  expect(rankTable(some, fakeOutput())).toMatchInlineSnapshot(`
    "layer
    layer  query    sum
        0      0      0
      sum      0      0

     layer  dense    sum
    pooler      1      1
       sum      1      1

    1 of 8 ranks kept, 1 of 2 matrices at rank 0"
  `);
});

test("colours are behind the numbers, and take no room", () => {
  const coloured = rankTable(ranks("layer", 1, deberta), fakeOutput({ colours: true }));
  expect(coloured).toContain("\x1b[48;5;17;38;5;255m");
  expect(coloured).toContain("\x1b[48;5;221;38;5;16m");
  // oxlint-disable-next-line no-control-regex -- the escape is what is taken out
  const plain = coloured.replaceAll(/\x1b\[[\d;]*m/g, "");
  const widths = (text: string) => text.split("\n").map((line) => line.length);
  expect(widths(plain)).toEqual(widths(rankTable(ranks("layer", 1, deberta), fakeOutput())));
});
