import { BARRIER, inHeader, inKernel, type PlantedFault } from "./planted-fault.ts";
import { tensorCoreFaults } from "./tensor-core-faults.ts";

const barriers: readonly PlantedFault[] = [
  inHeader("reduce", "vocabulary-loss", {
    what: "partial results are overwritten before they are read",
    find: `${BARRIER} /* the previous reduction's partials have been read */`,
    replace: "",
    cases: "addVocabularyLoss",
  }),
  inHeader("reduce", "vocabulary-loss", {
    what: "partial results are read before they are written",
    find: `partials[warp()] = value;\n  ${BARRIER}`,
    replace: "partials[warp()] = value;",
    cases: "addVocabularyLoss",
  }),
  inHeader("columns", "columns", {
    what: "column sums are read before they are written",
    find: BARRIER,
    replace: "",
    cases: "addColumnSums",
  }),
  inKernel("layer-norm", {
    what: "a row's mean is computed before its sums are stored",
    find: "dropout);\n    __syncwarp();",
    replace: "dropout);",
    cases: "addLayerNorm",
  }),
  inKernel("layer-norm", {
    what: "dsum is read by lanes before others store it",
    find: "if (!dx) return;\n  __syncwarp();",
    replace: "if (!dx) return;",
    cases: "addLayerNormBackward",
  }),
  inKernel("rows", {
    what: "a chunk's matches are read before they are written",
    find: `= found;\n    ${BARRIER}`,
    replace: "= found;",
    cases: "scatterAddRows",
  }),
  inKernel("rows", {
    what: "a chunk's matches are overwritten before they are read",
    find: `${BARRIER} /* every thread has read the matches */`,
    replace: "",
    cases: "foldAdd",
  }),
  inKernel("losses", {
    what: "gradients are zeroed after they are set",
    find: `${BARRIER} /* below, other threads set`,
    replace: "/* below, other threads set",
    cases: "spanLoss",
  }),
  inKernel("top-log-probabilities", {
    what: "penalties apply before the bias",
    find: `${BARRIER} /* every thread has added`,
    replace: "/* every thread has added",
    cases: "topLogProbabilities",
  }),
  inKernel("top-log-probabilities", {
    what: "the best classes are read before they are written",
    find: `partials[warp()] = own;\n  ${BARRIER}`,
    replace: "partials[warp()] = own;",
    cases: "topLogProbabilities",
  }),
  inKernel("low-rank", {
    what: "a tile is overwritten before it is read",
    find: `${BARRIER} /* the tiles before have been read */`,
    replace: "",
    cases: "addLowRank",
  }),
  inKernel("low-rank", {
    what: "a tile is read before it is written",
    find: `is_pruned(of.triplets, k); });\n    ${BARRIER}`,
    replace: "is_pruned(of.triplets, k); });",
    cases: "addLowRank",
  }),
  inKernel("projections", {
    what: "a factor's tile is overwritten before it is read",
    find: `${BARRIER} /* the tile before has been read */`,
    replace: "",
    cases: "linears, query, key, value",
  }),
  inKernel("projections", {
    what: "a factor's tile is read before it is written",
    find: `${BARRIER}\n    add_products`,
    replace: "add_products",
    cases: "linears, query, key, value",
  }),
  inKernel("factor-gradients", {
    what: "rows of h are overwritten before they are read",
    find: `${BARRIER} /* the rows before have been read */`,
    replace: "",
    cases: "addFactorGradient 130x160",
  }),
  inKernel("factor-gradients", {
    what: "rows of h are read before they are written",
    find: `= value; });\n    ${BARRIER}`,
    replace: "= value; });",
    cases: "addFactorGradient",
  }),
  inKernel("factor-gradients", {
    what: "the warps add their sums out of turn",
    find: `${BARRIER} /* the next warp adds to these */`,
    replace: "",
    cases: "addFactorGradient",
  }),
  inHeader("factor-gradients", "factor-gradients", {
    what: "the number of earlier parts is read before it is written",
    find: `atomicAdd(counter, 1);\n  ${BARRIER}`,
    replace: "atomicAdd(counter, 1);",
    cases: "addFactorGradient 130x160",
  }),
  inHeader("factor-gradients", "factor-gradients", {
    what: "the count of a tile's parts is not set to 0 again",
    find: "if (threadIdx.x == 0) *counter = 0;",
    replace: "",
    cases: "addFactorGradient 130x160",
  }),
  inHeader("attention", "multi-head", {
    what: "a tile of keys is overwritten before it is read",
    find: `${BARRIER} /* the tiles before have been read */`,
    replace: "",
    cases: "attention",
  }),
  inHeader("attention", "multi-head", {
    what: "a tile of keys is read before it is written",
    find: `b_stride, rows, dim);\n  ${BARRIER}`,
    replace: "b_stride, rows, dim);",
    cases: "attention",
  }),
  inKernel("multi-head", {
    what: "weights are read before other lanes write them",
    find: ": 0.0f;\n    __syncwarp();",
    replace: ": 0.0f;",
    cases: "attention",
  }),
  inKernel("disentangled", {
    what: "the warps' sums of position gradients are read before they are written",
    find: `sum, 1.0f, dim);\n  ${BARRIER}`,
    replace: "sum, 1.0f, dim);",
    cases: "disentangledAttentionBackward",
  }),
];

/** In kernels that compute in bf16 alone. */
const bf16: readonly PlantedFault[] = [
  inKernel("projections-bf16", {
    what: "a rounded factor's tile is overwritten before it is read",
    find: `${BARRIER} /* the tile before has been read */`,
    replace: "",
    cases: "linears, query, key, value",
  }),
  inKernel("projections-bf16", {
    what: "the warps' sums of a projection are read before they are written",
    find: `= sums.of[half][i];\n  ${BARRIER}`,
    replace: "= sums.of[half][i];",
    cases: "linears, query, key, value",
  }),
  inKernel("projections-bf16", {
    what: "the second product of eight columns has the first's factor",
    find: "second_left, b.z, b.w",
    replace: "second_left, b.x, b.y",
    cases: "linears, query, key, value",
  }),
  inKernel("factor-gradients-bf16", {
    what: "rounded rows of h are overwritten before they are read",
    find: `${BARRIER} /* the rows before have been read */`,
    replace: "",
    cases: "linearsBackward, query, key, value, many rows",
  }),
  inKernel("factor-gradients-bf16", {
    what: "warps with the same columns add at once",
    find: `${BARRIER} /* the next warp adds to these */`,
    replace: "",
    cases: "linearsBackward, query, key, value, many rows",
  }),
  inHeader("eights", "projections-bf16", {
    what: "eight columns are read from an address of one column's alignment",
    find: "return (u64)matrix % 16 == 0 && stride % 8 == 0;",
    replace: "return true;",
    cases: "linears, ",
  }),
  inHeader("eights", "factor-gradients-bf16", {
    what: "the second four of eight columns have the first's dropout",
    find: "col / 4 + half",
    replace: "col / 4",
    cases: "linearsBackward, of different",
  }),
].map((fault) => ({ ...fault, test: "conformance-bf16.test.ts" }));

const memory: readonly PlantedFault[] = [
  inKernel("elementwise", {
    what: "one element past the end is set",
    find: "if (i < n)",
    replace: "if (i <= n)",
    cases: "add ",
  }),
  inKernel("elementwise", {
    what: "columns past the last are set where dropout treats four at a time",
    find: "if (col < cols) store",
    replace: "store",
    cases: "dropout ",
  }),
  inKernel("gated-activation", {
    what: "one column past the end is set",
    find: "col >= cols",
    replace: "col > cols",
    cases: "gatedActivation ",
  }),
  inKernel("optimizer", {
    what: "one parameter past the end is updated",
    find: "if (i >= n) return;",
    replace: "if (i > n) return;",
    cases: "adamw",
  }),
  inHeader("values", "elementwise", {
    what: "an address of 4 bytes' alignment is read by 16",
    find: "{ return *p; }",
    replace: "{ return reinterpret_cast<const float4 *>(p)->x; }",
    cases: "add ",
  }),
  inHeader("columns", "columns", {
    what: "an index past the end of a shared array",
    find: "partials[warp()][lane()] = sums;",
    replace: "partials[warp()][lane() + 1] = sums;",
    cases: "addColumnSums",
  }),
  inHeader("triplets", "low-rank", {
    what: "pruned triplets are read",
    find: "return t.e && t.e[k] == 0.0f;",
    replace: "return false;",
    cases: "addLowRank",
  }),
  inHeader("vectors", "low-rank", {
    what: "four columns are read from an address of one column's alignment",
    find: "return (u64)matrix % (4 * sizeof(T)) == 0 && stride % 4 == 0;",
    replace: "return true;",
    cases: "addLowRank",
  }),
  inKernel("projections", {
    what: "one row past the end of h is set",
    find: "row < rows && k < rank) h",
    replace: "row <= rows && k < rank) h",
    cases: "linears, ",
  }),
  inHeader("factor-gradients", "factor-gradients", {
    what: "rows past the last are summed",
    find: "from + part_rows < rows ? from + part_rows : rows",
    replace: "from + part_rows",
    cases: "addFactorGradient 130x160",
  }),
  inKernel("factor-gradients", {
    what: "dropout is missing in the gradient of A",
    find: "of.dropout, r)",
    replace: "Dropout{}, r)",
    cases: "linearsBackward, of different",
  }),
  inKernel("rows", {
    what: "rows of one id are added by several blocks",
    find: "if (block_max(earlier)) return;",
    replace: "",
    cases: "scatterAddRows",
  }),
];

const randomBits: readonly PlantedFault[] = [
  inHeader("dropout", "elementwise", {
    what: "Philox has another key schedule",
    find: "0x9e3779b9u",
    replace: "0x9e3779b8u",
    cases: "dropout ",
  }),
  inHeader("dropout", "elementwise", {
    what: "Philox has nine rounds",
    find: "round < 10",
    replace: "round < 9",
    cases: "dropout ",
  }),
];

const host: readonly PlantedFault[] = [
  {
    what: "a block has more threads than a device allows",
    file: "backend/launches.ts",
    find: "const BLOCK = 256;",
    replace: "const BLOCK = 2048;",
    cases: "add ",
  },
  {
    what: "a download is read before its copy has run",
    file: "staging.ts",
    find: "        wait();\n",
    replace: "",
    cases: "add ",
  },
  {
    what: "a kernel gets an address of the host",
    file: "arguments.ts",
    find: "buffer.pointer) + INTEGER",
    replace: "ptr(this.ints)) + INTEGER",
    cases: "add ",
  },
  {
    what: "a view counts bytes as elements",
    file: "backend/memory.ts",
    find: "offset * elementBytes[dtype]",
    replace: "offset",
    cases: "zero of a part",
  },
  {
    what: "a copy is longer than its source",
    file: "backend/memory.ts",
    find: "const bytes = bytesOf(source);",
    replace: "const bytes = bytesOf(source) + 4;",
    cases: "copy of a part",
  },
  {
    what: "a product's rows overlap",
    file: "backend/products.ts",
    find: "ld: ldc };",
    replace: "ld: n };",
    cases: "gemm ",
  },
];

/** Found by the tests of native calls. */
const native: readonly PlantedFault[] = [
  {
    what: "a pinned block is written again before its copy has run",
    file: "staging.ts",
    find: `      if (otherUsed) driver.call("cuEventSynchronize", undefined, other.event);\n`,
    replace: "",
    cases: "larger than the pinned halves",
    test: "host.test.ts",
  },
  {
    what: "a kernel gets more shared memory than it was allowed",
    file: "kernels.ts",
    find: "      if (sharedBytes > kernel.sharedLimit) allowShared(context, name, kernel, sharedBytes);\n",
    replace: "",
    cases: "attention widest heads",
  },
  {
    what: "a launch's status is ignored",
    file: "kernels.ts",
    find: `driver.check(status, "cuLaunchKernel", shownLaunch(name, grid, block, sharedBytes));`,
    replace: "return;",
    cases: "native call, made to fail",
    test: "native-errors.test.ts",
  },
  {
    what: "a product's status is ignored",
    file: "cublaslt.ts",
    find: "if (status === 0) return true;",
    replace: "if (status !== NOT_SUPPORTED) return true;",
    cases: "native call, made to fail",
    test: "native-errors.test.ts",
  },
  {
    what: "a handle is used whose creation failed",
    file: "cusolver.ts",
    find: `check(symbols.cusolverDnCreate(out), "cusolverDnCreate");`,
    replace: "symbols.cusolverDnCreate(out);",
    cases: "when its handle is created",
    test: "cusolver.test.ts",
  },
  {
    what: "the stream of a start that fails is not destroyed",
    file: "context.ts",
    find: `  onOpen(() => driver.call("cuStreamDestroy_v2", undefined, stream));\n`,
    replace: "",
    cases: "native call, made to fail",
    test: "native-errors.test.ts",
  },
  {
    what: "memory whose mapping failed is not released",
    file: "device-range.ts",
    find: "if (mapped !== ABI.CUDA_SUCCESS) driver.symbols.cuMemRelease(handle);",
    replace: "",
    cases: "native call, made to fail",
    test: "native-errors.test.ts",
  },
];

/** Every fault, each of which some conformance case must find. */
export const plantedFaults = [
  ...barriers,
  ...bf16,
  ...tensorCoreFaults,
  ...memory,
  ...randomBits,
  ...host,
  ...native,
];
