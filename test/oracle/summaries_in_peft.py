"""Trains summarization with AdaLoRA, loads the adapter in real PEFT, and compares logits, loss, and the summaries that both write.

  pip install torch transformers peft tokenizers
  python summaries_in_peft.py PROJECT TOKENIZER_DIR TEXTS.csv OUT

TOKENIZER_DIR holds BART's vocab.json and merges.txt; TEXTS.csv has the columns article and highlights. The 16 shortest articles are
learnt by heart. Exits 1 where a logit is further from PEFT's in float64 than 3 times what PEFT's in float32 are, the loss by more than
1e-4, a summary differs, or ROUGE-1 of the run is not above 95.
"""
import csv, json, subprocess, sys
from pathlib import Path
import torch
from peft import PeftModel
from tokenizers import ByteLevelBPETokenizer
from transformers import BartConfig, BartForConditionalGeneration

project, tokenizer_dir, texts, out = (Path(word).resolve() for word in sys.argv[1:5])
MAX_LENGTH, MAX_TARGET = 192, 48


def adalora(*args):
    done = subprocess.run([str(word) for word in ("./adalora", *args)], cwd=project, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"adalora {args[0]} failed: {(done.stderr or done.stdout)[-400:]}")
    return done.stdout


torch.manual_seed(11)
out.mkdir(parents=True, exist_ok=True)
base, data, run = out / "base", out / "train.csv", out / "run"
config = BartConfig(
    vocab_size=50265, d_model=64, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4, decoder_attention_heads=4,
    encoder_ffn_dim=128, decoder_ffn_dim=128, max_position_embeddings=256, init_std=0.3, dropout=0.0)
BartForConditionalGeneration(config).save_pretrained(base)
with open(texts, newline="") as file:
    rows = sorted(csv.DictReader(file), key=lambda row: len(row["article"]))[:16]
with open(data, "w", newline="") as file:
    writer = csv.DictWriter(file, ["article", "highlights"], extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)

files = ("--model", base, "--tokenizer", tokenizer_dir)
lengths = ("--max-length", MAX_LENGTH, "--max-target-length", MAX_TARGET)
trained = json.loads(adalora(
    "run", "xsum", *files, *lengths, "--data", data, "--eval-data", data, "--max-steps", 200, "--init-rank", 24, "--target-rank", 16,
    "--mask-interval", 5, "--init-warmup", "20%", "--final-warmup", "40%", "--batch-size", 16, "--grad-accum", 1, "--lr", "0.01",
    "--warmup-ratio", "0.05", "--num-beams", 1, "--seed", 3, "--out", run, "--overwrite", "--device", "cpu", "--threads", 1, "--json"))
scores = trained["metrics"]["validation"]

encoder = ByteLevelBPETokenizer(str(tokenizer_dir / "vocab.json"), str(tokenizer_dir / "merges.txt"))
ids_of = lambda text, most: [0, *encoder.encode(text).ids[:most - 2], 2]
pairs = [{"source": ids_of(row["article"], MAX_LENGTH), "target": ids_of(row["highlights"], MAX_TARGET)} for row in rows]
(out / "pairs.json").write_text(json.dumps(pairs))
subprocess.run([project / "node_modules/.bin/bun", Path(__file__).parent / "summary-logits.ts", base, run / "adapter", tokenizer_dir, out / "pairs.json",
                out / "logits.f32"], cwd=project, check=True)
ours = torch.frombuffer(bytearray((out / "logits.f32").read_bytes()), dtype=torch.float32).view(-1, config.vocab_size)

open_model = lambda: PeftModel.from_pretrained(BartForConditionalGeneration.from_pretrained(base), run / "adapter").eval()
model, exact = open_model(), open_model().double()


def logits_of(one, pair):
    with torch.no_grad():
        inputs = {"input_ids": [pair["source"]], "decoder_input_ids": [[2, *pair["target"][:-1]]]}
        return one(**{name: torch.tensor(ids) for name, ids in inputs.items()}).logits[0]


at, worst, noise, loss = 0, 0.0, 0.0, 0.0
for pair in pairs:
    due = logits_of(exact, pair)
    worst = max(worst, (due - ours[at:at + len(due)]).abs().max().item())
    noise = max(noise, (due - logits_of(model, pair)).abs().max().item())
    loss += torch.nn.functional.cross_entropy(due, torch.tensor(pair["target"]), reduction="sum").item()
    at += len(due)
off = abs(loss / at - scores["loss"])


def written_by_peft(beams, penalty):
    for pair in pairs:
        with torch.no_grad():
            ids = model.generate(input_ids=torch.tensor([pair["source"]]), num_beams=beams, max_length=MAX_TARGET, length_penalty=penalty,
                                 do_sample=False, early_stopping=False)[0]
        yield encoder.decode([one for one in ids.tolist() if one > 3]).strip()

differing, compared = [], 0
for beams, penalty, adapter in ((1, 1.0, ()), (4, 1.0, ()), (4, 0.5, ("--no-repeat-ngram", 0))):
    predicted = out / f"predicted-{beams}-{penalty}"
    adalora("predict", *files, *lengths, "--adapter", run / "adapter", "--task", "summarization", "--input", data, "--num-beams", beams,
            "--length-penalty", penalty, *adapter, "--device", "cpu", "--threads", 1, "--out", predicted)
    lines = (predicted / "predictions.jsonl").read_text().splitlines()
    for line, due in zip(lines, written_by_peft(beams, penalty), strict=True):
        compared += 1
        if json.loads(line)["prediction"] != due:
            differing.append((beams, json.loads(line)["prediction"], due))

kept = [sum(mask) for mask in json.loads((run / "adapter/adapter_config.json").read_text())["rank_pattern"].values()]
print(f"16 articles, {at} tokens: rouge1 {scores['rouge1']:.2f}; largest error of a logit {worst:.2e} of {ours.abs().max():.1f} "
      f"(PEFT in float32: {noise:.2e}), of the loss {off:.2e}; {compared - len(differing)} of {compared} summaries equal; "
      f"{sum(kept)} ranks kept in {len(kept)} matrices")
for one in differing[:3]:
    print(*one, sep="\n  ")
sys.exit(0 if worst <= 3 * noise and off <= 1e-4 and not differing and scores["rouge1"] > 95 else 1)
