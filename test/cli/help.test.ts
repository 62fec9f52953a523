import { describe, expect, test } from "bun:test";
import { commands } from "../../cli/commands.ts";
import { predict } from "../../cli/commands/predict.ts";
import { main } from "../../cli/main.ts";
import { settingNames } from "../../core/config/run-config.ts";
import { createReport } from "../../cli/report.ts";
import { fakeOutput } from "./fake-output.ts";

const run = (...args: string[]) => runOn(80, ...args);

async function runOn(columns: number, ...args: string[]) {
  const stdout = fakeOutput({ columns });
  const stderr = fakeOutput();
  const code = await main(args, { open: (o) => createReport({ ...o, stdout, stderr }) });
  return { code, stdout: stdout.text, stderr: stderr.text };
}

describe("the help page", () => {
  test("of predict", async () => {
    expect((await run("predict", "--help")).stdout).toMatchInlineSnapshot(`
      "adalora predict: predict with a trained model: files, stdin, GLUE submissions

      Usage: adalora predict [RUN|ADAPTER] [TEXT…] [flags]

      Predicts the TEXTs, the rows of --input or --data, or by default the test set of
      the run that the adapter or model belongs to. Labels are not read. Without --out
      the predictions are JSON lines on stdout.

      A first argument that is the folder of a run or of an adapter is the same as
      --adapter, or as --model for a run without adapters.

      A TEXT is a text to classify (two for a task about pairs), a question about
      --context, or a text to summarize. As a TEXT or as --context, - reads standard
      input as one plain text; as --input, as rows.

      Command
        --adapter DIR|org/name  the trained adapter: a PEFT adapter, or a run's folder
        --model DIR|org/name    the adapter's base model (default: the one it names),
                                or a fully fine-tuned model; also --model-name-or-path
        --which last|best       the weights of a run's folder: of its last step, or of
                                its best evaluation (default last)
        --tokenizer DIR         the tokenizer's folder (default: the model's); also
                                --tokenizer-name
        --plugin FILE|PACKAGE   a model family: a TypeScript file, or a package; may
                                be given several times (default: the run's)
        --task NAME             the task of the model (default: the run's); also
                                --task-name
        --labels A,B            class names in the order of the model's outputs
                                (default: the model's)
        --max-length N          tokens per example; longer ones are truncated
                                (default: the run's); also --max-seq-length,
                                --max-source-length
        --doc-stride N          tokens shared by neighbouring windows on a long
                                context (default: the run's)
        --source-prefix TEXT    prefix of every source text (default: the run's)
        --max-target-length N   tokens of the generated summary; longer ones are
                                truncated (default: the run's); also
                                --val-max-target-length
        --n-best N              best start and end positions to combine, and answers
                                to keep (default: the run's); also --n-best-size
        --max-answer-length N   most tokens of an answer (default: the run's)
        --null-threshold X      predict 'no answer' when its score exceeds the best
                                span's by this margin (default: the run's); also
                                --null-score-diff-threshold
        --num-beams N           beams of the beam search (default: the run's)
        --length-penalty X      exponent of the length in beam scores; above 0 favours
                                long texts (default: the run's)
        --beam-stopping true|false|never
                                when the search ends; true: once enough beams are
                                finished (default: the run's)
        --min-target-length N   fewest tokens of the generated summary (default: the
                                run's); also --min-length
        --no-repeat-ngram N     no N tokens in a row are generated twice (default: the
                                run's); also --no-repeat-ngram-size
        --limit N               use only the first N rows; also --eval-limit,
                                --max-eval-samples, --max-predict-samples
        --batch-size N          examples per batch (default 32); also
                                --eval-batch-size, --per-device-eval-batch-size
        --device auto|cpu|cuda|reference
                                auto: the fastest that works on this machine; cpu:
                                oneDNN and C kernels; cuda: an NVIDIA GPU (cuda:1: the
                                second); reference: slow and exact, in f64 (default
                                auto)
        --dtype f32|bf16|auto   type of frozen weights and activations; auto: bf16
                                where the device supports it (default f32)
        --threads N             CPU threads (default: one per core)
        --tf32                  multiply floats in TF32 on a GPU: faster, with
                                mantissas of 10 bits
        --debug-sync            wait for each GPU kernel, so that an error names its
                                kernel: slow
        --context FILE|TEXT     the context of questions given as arguments: a file, -
                                or the text
        --input FILE|-          TSV, CSV, JSON lines, SQuAD's JSON or parquet; - is
                                standard input
        --data DIR|org/name     instead of --input: a folder, or a data set on the
                                hub; also --data-dir
        --split test|validation|train
                                the split of --data (default test)
        --text-column NAME      column of the text (default: the run's)
        --pair-column NAME      column of the second text or context (default: the
                                run's)
        --delimiter tab|comma|semicolon|pipe
                                separator of the columns of a text file (default: the
                                run's)
        --keep-columns all|A,B  columns of the input to carry through to the
                                predictions
        -o, --out FILE|DIR      a .csv, .tsv or .jsonl file for the predictions, or a
                                folder for predictions.jsonl and the task's submission
                                files
        --overwrite             replace the results in --out
        --json                  print one JSON object on stdout; messages stay on
                                stderr
        -q, --quiet             print results, warnings and errors only
        -h, --help              show this page

      Examples
        adalora predict --adapter runs/rte --input pairs.csv --keep-columns all \\
          --out predictions.csv
        adalora predict --adapter runs/rte --data glue/RTE --out submission
        cat pairs.tsv | adalora predict --adapter runs/rte --input -
        adalora predict --adapter runs/rte "It rained all day." "It was wet."
        adalora predict --adapter runs/squad --context page.txt "Who won?" "When?"
        adalora predict --adapter runs/xsum - < article.txt
      "
    `);
  });

  test("of eval names its own flags after those of every trained model", async () => {
    const { stdout } = await run("eval", "--help");
    const flags = stdout.split("\n").flatMap((line) => /^ {2}(--\S+)/.exec(line)?.[1] ?? []);
    expect(flags.join(" ")).toMatchInlineSnapshot(
      `"--adapter --model --which --tokenizer --plugin --task --labels --max-length --doc-stride --source-prefix --max-target-length --n-best --max-answer-length --null-threshold --num-beams --length-penalty --beam-stopping --min-target-length --no-repeat-ngram --limit --batch-size --device --dtype --threads --tf32 --debug-sync --data --split --text-column --pair-column --delimiter --label-column --overwrite --json"`,
    );
  });

  test("of doctor", async () => {
    expect((await run("doctor", "--help")).stdout).toMatchInlineSnapshot(`
      "adalora doctor: check libraries, machine and folders, and run a self-test

      Usage: adalora doctor [flags]

      Checks the libraries, the machine and the folders that adalora uses, then trains
      a tiny model for two steps on each device and compares the result with the
      reference. Exits with 1 if something required is missing or wrong.

      Command
        --json                  print one JSON object on stdout; messages stay on
                                stderr
        -q, --quiet             print results, warnings and errors only
        -h, --help              show this page

      Examples
        adalora doctor
        adalora doctor --json
      "
    `);
  });

  test("of run says where models and data come from, and how it treats its folder", async () => {
    const { stdout } = await run("run", "--help");
    const parts = stdout.split("\n\n");
    const command = parts.findIndex((part) => part.startsWith("Command\n"));
    expect([...parts.slice(3, 5), parts[command]].join("\n\n")).toMatchInlineSnapshot(`
      "Without --model and --data a recipe downloads its model and data from the
      Hugging Face hub into the standard cache; HF_HOME, HF_TOKEN and HF_HUB_OFFLINE
      apply.

      A command line of the authors' scripts, or of transformers' run_glue, run_qa or
      run_summarization, can be pasted after \`adalora run\`. Flags after it override
      it.

      Command
        --resume                resume the run in --out from its newest intact
                                checkpoint
        --overwrite             replace the run in --out
        --memory SIZE           memory to stay within, such as 8G: chooses
                                --micro-batch, --checkpointing and --eval-batch-size
        --report-every N        evaluations between rewrites of report.html in --out;
                                0: no report (default 1)
        --seeds N,N             run once per seed, in seed-N of --out, and report mean
                                and standard deviation
        --jobs N                seeds of --seeds to run at a time, in processes that
                                share the threads (default 1)
        --report-to csv|tensorboard
                                csv: also write metrics.csv in --out; TensorBoard
                                files are always written
        --pause-after N         evaluate and save a checkpoint after step N, then
                                stop; --resume continues
        --json                  print one JSON object on stdout; messages stay on
                                stderr
        -q, --quiet             print results, warnings and errors only
        -h, --help              show this page"
    `);
  });

  test.each(
    Object.keys(commands).flatMap((name) =>
      [100, 80, 60, 48].map((width) => [name, width] as const),
    ),
  )("of %s fits into %d columns, with all flags too", async (name, width) => {
    for (const flag of ["--help", "--help-all"]) {
      const { code, stdout, stderr } = await runOn(width, name, flag);
      expect([code, stderr]).toEqual([0, ""]);
      expect(stdout.split("\n").filter((line) => line.length > width)).toEqual([]);
      const words = stdout.replaceAll(/\s+/g, " ");
      expect(words).toStartWith(`adalora ${name}: ${commands[name]?.about} Usage: adalora ${name}`);
      expect(stdout).toMatch(/\nExamples\n {2}\S/);
    }
  });

  test("of run has what most runs need; --help-all has every flag", async () => {
    const flagsOf = (page: string): string[] => page.match(/^ {2}(-\w, )?--\S+/gm) ?? [];
    const [short, whole] = [await run("run", "--help"), await run("run", "--help-all")];
    const [some, all] = [flagsOf(short.stdout), flagsOf(whole.stdout)];
    expect(all.length).toBe(settingNames.length + 11); // of the command, --help among them
    expect(some.every((flag) => all.includes(flag))).toBe(true);
    expect(some.length).toBeLessThan(35);
    const more = all.length - some.length;
    expect(short.stdout).toContain(`\nadalora run --help-all shows ${more} more flags, and other`);
    expect(short.stdout).not.toContain("--learning-rate");
    expect(whole.stdout).toContain("--learning-rate");
  });

  test("has one of three commands that ask for it", async () => {
    const page = await run("predict", "--help");
    expect(await run("predict", "-h")).toEqual(page);
    expect(await run("help", "predict")).toEqual(page);
    expect(await run("predict", "--help-all")).toEqual(page);
    expect((await run("help", "run", "--help-all")).stdout).toContain("--init-rank");
    expect((await run("help", "predikt")).stderr).toContain("did you mean predict?");
  });

  test("has examples that are pasted as they are shown", async () => {
    const { stdout } = await runOn(48, "predict", "--help");
    const examples = stdout.slice(stdout.indexOf("\nExamples\n") + 10);
    expect(examples).toContain(" \\\n");
    const whole = examples.trim().replaceAll(/ \\\n +/g, " ");
    expect(whole.split("\n").map((line) => line.trim())).toEqual([...predict.examples]);
  });
});

describe("a mistake", () => {
  test.each([
    [["predict", "--adaptor", "x"], "unknown flag --adaptor", "did you mean --adapter?"],
    [
      ["eval", "--split", "dev"],
      '--split must be one of validation, test, train, got "dev"',
      "did you mean validation?",
    ],
    [
      ["eval", "--split", "tets"],
      '--split must be one of validation, test, train, got "tets"',
      "did you mean test?",
    ],
    [["eval", "rte"], 'unexpected argument "rte"', "the command takes [RUN|ADAPTER], and flags"],
    [["predict", "--limit", "0"], '--limit must be a whole number from 1, got "0"', undefined],
    [
      ["predict", "--device", "tpu"],
      '--device must be one of auto, cpu, cuda, reference, got "tpu"',
      undefined,
    ],
    [
      ["predict", "--device", "cuda:x"],
      '--device must be one of auto, cpu, cuda, reference, got "cuda:x"',
      undefined,
    ],
    [
      ["eval", "--adapter", "x", "--device", "reference", "--dtype", "bf16"],
      "--dtype must be f32 with --device reference, got bf16",
      undefined,
    ],
    [
      ["eval"],
      "no model given",
      "use --adapter for an adapter, or --model for a fully fine-tuned model",
    ],
    [
      ["doctor", "now"],
      'unexpected argument "now"',
      "the command takes only flags: --help lists them",
    ],
    [["docter"], 'unknown command "docter"', expect.stringContaining("did you mean doctor?")],
    [
      ["run", "rtt"],
      'no recipe or configuration file "rtt"',
      expect.stringContaining("did you mean rte?"),
    ],
    [
      ["run", "rte", "--resume", "--overwrite", "--device", "reference"],
      "--resume and --overwrite exclude each other: give one",
      undefined,
    ],
    [["run", "--resume"], "no --out given", "--out names the folder of the run to resume"],
    [
      ["run", "--resume", "--out", "none"],
      "none does not exist: there is no run to resume",
      undefined,
    ],
    [
      ["plan", "demo", "--seeds", "1,2", "--seed", "3"],
      "--seed and --seeds exclude each other: give one",
      undefined,
    ],
    [
      ["plan", "demo", "--seeds", "1,2,1"],
      '--seeds must be distinct whole numbers separated by commas, got "1,2,1"',
      undefined,
    ],
    [
      ["plan", "demo", "--budget", "5x"],
      '--budget must be a count of parameters like 0.32M, or a share like 0.32%, got "5x"',
      undefined,
    ],
    [
      ["plan", import.meta.dir],
      `${import.meta.dir}: a configuration's name must end in .toml, .yaml, .yml, .json`,
      "the argument is a recipe or a configuration file; --data takes data",
    ],
    [
      ["run", "summarization"],
      "summarization is a task for your own data, not a recipe",
      "give it as --task summarization, with --model and --data",
    ],
    [
      ["plan", "--task", "classification", "--model", "x"],
      "no data given",
      expect.stringContaining("--data PATH"),
    ],
  ] as const)("in %j exits with 1, names it and says what to do", async (args, message, hint) => {
    const { code, stdout } = await run(...args, "--json");
    const { error } = JSON.parse(stdout);
    expect([code, error.message, error.hint]).toEqual([1, message, hint]);
  });
});
