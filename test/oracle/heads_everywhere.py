"""Compares the logits of a run's adapter and merged model wherever Hugging Face's libraries load them: no trained head may be lost.

  pip install torch transformers peft sentence-transformers
  python heads_everywhere.py PROJECT RUN BASE OUT

RUN: the folder of a run of a task about pairs, BASE: the folder of its base model. The exports' adapter_config.json is pointed to BASE,
as to a model on the hub. Prints each library's largest difference from the run's own predictions; exits 1 above 1e-5.
"""
import json, shutil, subprocess, sys
from pathlib import Path
import torch
import transformers
from peft import AutoPeftModelForSequenceClassification, PeftModel
from sentence_transformers import CrossEncoder
from transformers import AutoModelForSequenceClassification, AutoTokenizer

transformers.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()
project, run, base, out = map(Path, sys.argv[1:5])
PAIRS = [("the cat looked at the moon", "the cat looked"), ("a cat", "the moon looked")]


def adalora(*words):
    done = subprocess.run(["./adalora", *map(str, words)], cwd=project, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"adalora {words[0]} failed: {done.stderr[-400:]}")
    return done.stdout


def export(to, folder):
    shutil.rmtree(folder, ignore_errors=True)
    adalora("export", run, "--to", to, "-o", folder, "--model", base, "--json")
    config = folder / "adapter_config.json"
    if config.exists():
        fields = json.loads(config.read_text())
        config.write_text(json.dumps({**fields, "base_model_name_or_path": str(base)}))
    return folder


def logits(model, folder):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        return torch.cat([model.eval()(**tokenizer(*pair, return_tensors="pt")).logits for pair in PAIRS])


lines = [adalora("predict", "--adapter", run, "--model", base, *pair) for pair in PAIRS]
own = torch.tensor([json.loads(line)["logits"] for line in lines])
width = own.shape[1]
peft, lora, merged = export("peft", out / "peft"), export("lora", out / "lora"), export("merged", out / "merged")
auto = AutoModelForSequenceClassification.from_pretrained
loads = {
    "PeftModel, AdaLoRA": (peft, lambda: PeftModel.from_pretrained(auto(base, num_labels=width), peft)),
    "AutoPeftModel, AdaLoRA": (peft, lambda: AutoPeftModelForSequenceClassification.from_pretrained(peft, num_labels=width)),
    "PeftModel, LoRA": (lora, lambda: PeftModel.from_pretrained(auto(base, num_labels=width), lora)),
    "AutoPeftModel, LoRA": (lora, lambda: AutoPeftModelForSequenceClassification.from_pretrained(lora, num_labels=width)),
    "transformers, LoRA": (lora, lambda: auto(lora, num_labels=width)),
    "transformers, merged": (merged, lambda: auto(merged)),
}
found = {name: logits(load(), folder) for name, (folder, load) in loads.items()}
encoder = CrossEncoder(str(merged), activation_fn=torch.nn.Identity())
found["CrossEncoder, merged"] = torch.tensor(encoder.predict(PAIRS)).reshape(own.shape)
worst = 0.0
for name, got in found.items():
    difference = (got - own).abs().max().item()
    worst = max(worst, difference)
    print(f"{name}: {difference:.1e}")
sys.exit(0 if worst <= 1e-5 else 1)
