"""Trains question answering with AdaLoRA, loads the adapter in real PEFT, and compares the logits of all that was predicted.

  pip install torch transformers peft tokenizers
  python qa_in_peft.py PROJECT TOKENIZER_DIR TOKENIZER_JSON SQUAD_JSON OUT

TOKENIZER_DIR holds the tokenizer as the program reads it (spm.model), TOKENIZER_JSON the same as the tokenizers library reads it.
Each candidate of nbest_predictions.json must have a span of tokens with its text and its two logits; null_odds.json must be what the
logits of the first token say. Prints the largest differences; exits 1 above 1e-4.
"""
import json, subprocess, sys
from pathlib import Path
import torch
from peft import PeftModel
from tokenizers import Tokenizer
from transformers import AutoModelForQuestionAnswering, DebertaV2Config, DebertaV2Model

project, tokenizer_dir, tokenizer_json, squad, out = map(Path, sys.argv[1:6])
MAX_LENGTH, STRIDE, MAX_ANSWER, QUESTIONS = 128, 32, 30, 40


def adalora(*args):
    done = subprocess.run([str(word) for word in ("./adalora", *args)], cwd=project, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"adalora {args[0]} failed: {(done.stderr or done.stdout)[-400:]}")
    return done.stdout


def logits_by_text(encoding, start, end, context):
    """The start and end logits of each span of a window's context, by what it reads; "" is the first token."""
    found = {"": [(start[0], end[0])]}
    at = [i for i, sequence in enumerate(encoding.sequence_ids) if sequence == 1]
    for s in at:
        for e in range(s, min(s + MAX_ANSWER, at[-1] + 1)):
            text = context[encoding.offsets[s][0]:encoding.offsets[e][1]]
            found.setdefault(text, []).append((start[s], end[e]))
    return found


torch.manual_seed(11)
base = out / "base"
DebertaV2Model(DebertaV2Config(
    vocab_size=128100, hidden_size=48, num_hidden_layers=3, num_attention_heads=4, intermediate_size=96, max_position_embeddings=512,
    relative_attention=True, position_buckets=32, norm_rel_ebd="layer_norm", share_att_key=True, pos_att_type=["p2c", "c2p"],
    position_biased_input=False, type_vocab_size=0, layer_norm_eps=1e-7, initializer_range=0.15)).save_pretrained(base)
run = out / "run"
adalora("run", "squad_v2", "--model", base, "--tokenizer", tokenizer_dir, "--data", squad, "--limit", QUESTIONS, "--max-length", MAX_LENGTH,
        "--doc-stride", STRIDE, "--max-steps", 40, "--init-warmup", 5, "--final-warmup", 10, "--mask-interval", 2, "--init-rank", 4,
        "--target-rank", 1, "--batch-size", 16, "--lr", "5e-3", "--seed", 3, "--out", run, "--overwrite", "--device", "cpu", "--json")
adalora("predict", "--model", base, "--adapter", run / "adapter", "--tokenizer", tokenizer_dir, "--task", "squad_v2", "--max-length",
        MAX_LENGTH, "--doc-stride", STRIDE, "--input", squad, "--limit", QUESTIONS, "--out", out / "predicted", "--device", "cpu")
nbest = json.loads((out / "predicted/nbest_predictions.json").read_text())
odds = json.loads((out / "predicted/null_odds.json").read_text())

tokenizer = Tokenizer.from_file(str(tokenizer_json))
tokenizer.enable_truncation(MAX_LENGTH, stride=STRIDE, strategy="only_second")
model = PeftModel.from_pretrained(AutoModelForQuestionAnswering.from_pretrained(base), run / "adapter").eval()
paragraphs = [p for article in json.loads(squad.read_text())["data"] for p in article["paragraphs"]]
questions = [(p["context"], qa) for p in paragraphs for qa in p["qas"]][:QUESTIONS]
worst, worst_odds, windows_seen, candidates_seen = 0.0, 0.0, 0, 0
for context, qa in questions:
    first = tokenizer.encode(qa["question"].lstrip(), context)
    windows = []
    for encoding in [first, *first.overflowing]:
        with torch.no_grad():
            got = model(input_ids=torch.tensor([encoding.ids]))
        windows.append(logits_by_text(encoding, got.start_logits[0].tolist(), got.end_logits[0].tolist(), context))
    windows_seen += len(windows)
    null = min(sum(window[""][0]) for window in windows)
    candidates = nbest[qa["id"]]
    best = next(one for one in candidates if one["text"] != "")
    worst_odds = max(worst_odds, abs(odds[qa["id"]] - (null - best["start_logit"] - best["end_logit"])))
    for candidate in candidates:
        candidates_seen += 1
        pairs = [pair for window in windows for pair in window.get(candidate["text"], [])]
        distances = [max(abs(s - candidate["start_logit"]), abs(e - candidate["end_logit"])) for s, e in pairs]
        worst = max(worst, min(distances, default=float("inf")))

kept = [sum(mask) for mask in json.loads((run / "adapter/adapter_config.json").read_text())["rank_pattern"].values()]
print(f"{QUESTIONS} questions, {windows_seen} windows, {candidates_seen} candidates: largest difference of a logit {worst:.2e}, "
      f"of null odds {worst_odds:.2e} (want <= 1e-4); {sum(kept)} ranks kept in {len(kept)} matrices")
sys.exit(0 if max(worst, worst_odds) <= 1e-4 and sum(kept) == len(kept) else 1)
