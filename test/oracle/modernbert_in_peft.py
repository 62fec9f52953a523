"""Loads adapters of fused layers in real PEFT: query, key and value have ranks of their own here, and are one adapter of Wqkv there.

  pip install torch transformers peft safetensors
  python modernbert_in_peft.py PROJECT OUT

Writes the adapters by fused-adapter.ts to OUT, loads them over the base model of 07-modernbert-cls in float64, and writes PEFT's logits on
the case's batch to PROJECT/test/fixtures/modernbert/peft-logits.json, which fused-adapter.test.ts compares with this program's.
"""
import json, subprocess, sys
from pathlib import Path
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import ModernBertForSequenceClassification
import modernbert_in_float64  # noqa: F401

torch.set_num_threads(1)
project, out = (Path(word).resolve() for word in sys.argv[1:3])
case = project / "test/golden/cases/07-modernbert-cls"
golden = load_file(case / "golden.safetensors")


found = {}
for method in ("adalora", "lora"):
    folder = out / method
    subprocess.run([project / "node_modules/.bin/bun", Path(__file__).parent / "fused-adapter.ts", method, folder], cwd=project, check=True)
    base = ModernBertForSequenceClassification.from_pretrained(case, attn_implementation="sdpa")
    model = PeftModel.from_pretrained(base, folder).double().eval()
    with torch.no_grad():
        logits = lambda: model(input_ids=golden["input.input_ids"], attention_mask=golden["input.attention_mask"]).logits
        found[method] = logits().flatten().tolist()
        with model.disable_adapter():
            distance = (logits() - golden["out.logits"]).abs().max().item()
    print(f"{method}: {found[method]}; the base alone differs from its golden by {distance:.2e}")
target = project / "test/fixtures/modernbert/peft-logits.json"
target.parent.mkdir(parents=True, exist_ok=True)
target.write_text(json.dumps(found, indent=1) + "\n")
