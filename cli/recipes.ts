/** The recipes: the paper's settings, one file per task, embedded in the executable. */
const recipes: Readonly<Record<string, () => Promise<{ readonly default: unknown }>>> = {
  demo: () => import("./recipes/demo.toml"),
  cola: () => import("./recipes/cola.toml"),
  sst2: () => import("./recipes/sst2.toml"),
  mrpc: () => import("./recipes/mrpc.toml"),
  stsb: () => import("./recipes/stsb.toml"),
  qqp: () => import("./recipes/qqp.toml"),
  mnli: () => import("./recipes/mnli.toml"),
  qnli: () => import("./recipes/qnli.toml"),
  rte: () => import("./recipes/rte.toml"),
  wnli: () => import("./recipes/wnli.toml"),
  squad: () => import("./recipes/squad.toml"),
  squad_v2: () => import("./recipes/squad_v2.toml"),
  xsum: () => import("./recipes/xsum.toml"),
  cnn_dailymail: () => import("./recipes/cnn_dailymail.toml"),
};

/** Names of the recipes, in the order of the help page. */
export const recipeNames: readonly string[] = Object.keys(recipes);

/** A recipe's keys and values; undefined when there is none of that name. */
export async function loadRecipe(name: string): Promise<unknown> {
  return Object.hasOwn(recipes, name) ? (await recipes[name]?.())?.default : undefined;
}
