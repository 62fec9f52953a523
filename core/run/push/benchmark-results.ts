import { type Benchmark, type BenchmarkOptions, benchmarksOf } from "../../io/hub-benchmark.ts";
import type { FileToPush } from "../../io/hub-writer.ts";
import type { AdapterFacts, TrainingFacts } from "../../model/adapter-facts.ts";

/** Where the hub looks for results of benchmarks; any name in that folder will do. */
const BENCHMARK_RESULTS = ".eval_results/adalora.yaml";

/**
 * The results that the hub shows on a data set's leaderboard: the main metric of each split that
 * the data set declares as a benchmark. Undefined if it declares none that was evaluated whole.
 * `name`: the repository that the results belong to. Throws E_HUB if the data set can't be read.
 */
export async function benchmarkResults(
  facts: Pick<AdapterFacts, "training"> | undefined,
  name: string,
  options: BenchmarkOptions = {},
): Promise<FileToPush | undefined> {
  const training = facts?.training;
  if (training?.dataset?.wholeSplits !== true) return undefined;
  const results = resultsOf(training, await benchmarksOf(training.dataset.id, options), name);
  if (results.length === 0) return undefined;
  return { path: BENCHMARK_RESULTS, content: new Blob([`${results.join("\n")}\n`]) };
}

// --- internal ---

/** No date: the hub takes the commit's, and a second push of the same results changes nothing. */
function resultsOf(
  { dataset, metrics, mainMetric }: TrainingFacts,
  benchmarks: readonly Benchmark[],
  name: string,
): readonly string[] {
  if (dataset === undefined || mainMetric === undefined) return [];
  return Object.entries(metrics).flatMap(([split, values]) => {
    const value = values[mainMetric];
    if (value === undefined || !Number.isFinite(value)) return [];
    return benchmarks
      .filter((one) => one.split === split && isOfConfig(one, dataset.config))
      .map(({ id }) =>
        [
          "- dataset:",
          `    id: ${JSON.stringify(dataset.id)}`,
          `    task_id: ${JSON.stringify(id)}`,
          `  value: ${value}`,
          `  notes: ${JSON.stringify(mainMetric)}`,
          "  source:",
          `    url: ${JSON.stringify(`https://huggingface.co/${name}`)}`,
          '    name: "Model card"',
        ].join("\n"),
      );
  });
}

/** A data set with one configuration need not name it. */
const isOfConfig = ({ config = "default" }: Benchmark, ours = "default") => config === ours;
