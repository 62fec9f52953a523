"""Times steps of AdaLoRA on ModernBERT at long sequences: transformers + PEFT against this program, alternately, a process each.

  pip install torch transformers peft safetensors
  python modernbert_speed.py PROJECT OUT.json [--layers 3] [--lengths 8192] [--rounds 3] [--threads 2] [--eager-tokens 2048]

The model has ModernBERT-base's sizes with fewer layers, the same random weights on both sides, and sequences of the given lengths (8192,4096: two) a step, which transformers pads; f32. Adapters of
rank 12 on every matrix (PEFT: Wqkv, Wo, Wi, Wo; here query, key and value apart), dropout 0, head trained in full. A step at 512 tokens
warms up. Times are of the wall and of the processor, which other load on the machine changes less. PEFT runs with SDPA; eager attention is
compared with it at fewer tokens first, since it holds heads * tokens^2 floats a layer several times.
"""
import argparse, json, os, resource, subprocess, sys, tempfile, time
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("project")
parser.add_argument("out")
parser.add_argument("--layers", type=int, default=3)
parser.add_argument("--lengths", default="8192")
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--eager-tokens", type=int, default=2048)
parser.add_argument("--child", choices=["sdpa", "eager"])
parser.add_argument("--model")
args = parser.parse_args()
WARM_UP = 512


def ids_of(count):
    return [1 + (7 * i * i + 3 * i) % 50000 for i in range(count)]


def child():
    """One process of PEFT: a warm-up step, then the timed one."""
    import torch
    from peft import AdaLoraConfig, get_peft_model
    from transformers import ModernBertForSequenceClassification
    torch.set_num_threads(args.threads)
    base = ModernBertForSequenceClassification.from_pretrained(args.model, attn_implementation=args.child)
    config = AdaLoraConfig(init_r=12, target_r=8, tinit=0, tfinal=100, deltaT=1, total_step=1000, lora_alpha=32, lora_dropout=0.0,
                           orth_reg_weight=0.1, task_type="SEQ_CLS", modules_to_save=["head", "classifier"],
                           target_modules=["attn.Wqkv", "attn.Wo", "mlp.Wi", "mlp.Wo"])
    model = get_peft_model(base, config).train()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-3, weight_decay=0.01)

    def step(lengths, number):
        width = max(lengths)
        ids = torch.tensor([ids_of(n) + [base.config.pad_token_id] * (width - n) for n in lengths])
        mask = (torch.arange(width)[None] < torch.tensor(lengths)[:, None]).long()
        loss = model(input_ids=ids, attention_mask=mask, labels=torch.ones(len(lengths), dtype=torch.long)).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        model.base_model.update_and_allocate(number)
        optimizer.zero_grad()

    step([WARM_UP], 1)
    before, cpu = time.perf_counter(), time.process_time()
    step([int(n) for n in args.lengths.split(",")], 2)
    print(json.dumps(measured(time.perf_counter() - before, time.process_time() - cpu)))


def measured(seconds, cpu_seconds):
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": round(seconds, 3), "cpu_seconds": round(cpu_seconds, 3), "peak_rss_mib": round(peak)}


def run(words):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, cwd=args.project)
    if done.returncode:
        return {"failed": done.returncode, "error": (done.stderr or done.stdout)[-300:]}
    return json.loads(done.stdout.strip().splitlines()[-1])


def main():
    import peft, torch, transformers
    folder = Path(tempfile.mkdtemp())
    torch.manual_seed(1)
    config = transformers.ModernBertConfig(num_hidden_layers=args.layers, classifier_pooling="mean", num_labels=2)
    transformers.ModernBertForSequenceClassification(config).save_pretrained(folder)
    options = ["--layers", args.layers, "--threads", args.threads, "--model", folder]
    peft_words = lambda impl, lengths: [sys.executable, __file__, args.project, args.out, *options, "--lengths", lengths, "--child", impl]
    here = Path(args.project) / "test/oracle/modernbert-speed.ts"
    own_words = [Path(args.project) / "node_modules/.bin/bun", here, folder, args.lengths, args.threads]
    choice = {impl: run(peft_words(impl, args.eager_tokens)) for impl in ("sdpa", "eager")}
    print("attention of PEFT:", choice, flush=True)
    rounds = []
    for _ in range(args.rounds):
        rounds.append({"peft": run(peft_words("sdpa", args.lengths)), "own": run(own_words)})
        print(rounds[-1], flush=True)
    ratios = {key: sorted(r["peft"][key] / r["own"][key] for r in rounds) for key in ("seconds", "cpu_seconds")}
    report = {
        "workload": "AdaLoRA on ModernBERT-base's sizes, f32",
        "layers": args.layers, "full_layers": sum(kind == "full_attention" for kind in config.layer_types), "lengths": args.lengths,
        "threads": args.threads, "machine": machine(), "load_average": os.getloadavg(),
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__, "peft": peft.__version__},
        "eager_against_sdpa": {"tokens": args.eager_tokens, **choice},
        "rounds": rounds, "peft_over_own": {key: [round(x, 2) for x in found] for key, found in ratios.items()},
    }
    Path(args.out).write_text(json.dumps(report, indent=2) + "\n")
    print(report["peft_over_own"])


def machine():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()


child() if args.child else main()
