"""Initializes tiny models by PEFT's own EVA and writes what came out: the fixtures of test/fixtures/eva.

  pip install torch==2.15.0 transformers==5.24.0 peft==0.21.2
  OMP_NUM_THREADS=1 python test/oracle/eva.py test/fixtures/eva

Models run in float64; PEFT rounds activations to float32 and fits the first batch in float32, the rest in float64. Everything is computed
twice: by PEFT as it is, whose `torch.svd_lowrank` approximates (q = 2 r, 4 iterations, seed 42), and with `torch.linalg.svd` in float64.
PEFT alone cannot do these models: DeBERTa's shared projections also read relative embeddings, which PEFT indexes by token, and
BART's decoder has other rows than its encoder. `prepare_layer_inputs_fn`, its own way out, says which rows count: tokens, not padding.
"""
import json, sys
from pathlib import Path
import torch
from peft import EvaConfig, LoraConfig, get_peft_model, initialize_lora_eva_weights
from peft.tuners.lora.eva import SVDHook
from peft.utils.incremental_pca import IncrementalPCA
from safetensors.torch import save_file
from transformers import BartConfig, BartForConditionalGeneration, DebertaV2Config, DebertaV2ForSequenceClassification

OUT, IGNORED = Path(sys.argv[1]), -100
lowrank, counted = IncrementalPCA._svd_fn_lowrank, SVDHook.__call__


def exact_svd(_, x):
    return torch.linalg.svd(x.double(), full_matrices=False)


def use_svd(exact):
    IncrementalPCA._svd_fn_lowrank = exact_svd if exact else lowrank


def eva(model, batches, rank, tau, targets, model_inputs, layer_inputs):
    """Each module's lora_A, and how many batches each SVD was fitted to until PEFT found it converged."""
    fitted = {}

    def counting(hook, *args):
        before = hook.svd.n_samples_seen_.item() if hasattr(hook.svd, "n_samples_seen_") else 0
        counted(hook, *args)
        if hasattr(hook.svd, "n_samples_seen_") and hook.svd.n_samples_seen_.item() > before:
            fitted[hook.name] = fitted.get(hook.name, 0) + 1

    SVDHook.__call__ = counting
    config = LoraConfig(r=rank, lora_alpha=rank, target_modules=targets, init_lora_weights="eva", eva_config=EvaConfig(rho=1.0, tau=tau))
    peft = get_peft_model(model, config)
    initialize_lora_eva_weights(peft, batches, prepare_model_inputs_fn=model_inputs, prepare_layer_inputs_fn=layer_inputs,
                                show_progress_bar=False)
    rows = {name: module.lora_A["default"].weight.double().clone() for name, module in peft.base_model.model.named_modules()
            if hasattr(module, "lora_A")}
    peft.unload()
    return rows, {name.removeprefix("base_model.model."): count for name, count in fitted.items()}


def padded(sequences, filler):
    width = max(map(len, sequences)) + 1  # even the longest sequence has padding
    return torch.tensor([s + [filler] * (width - len(s)) for s in sequences])


def sequences(lengths, vocabulary):
    """Ids of unlike frequencies, as words have them, so that there are principal components to find."""
    odds = 1 / torch.arange(1, vocabulary - 3, dtype=torch.float64)
    return [(3 + torch.multinomial(odds, n, replacement=True)).tolist() for n in lengths]


def write_model(name, model, batches, rank, tau, targets, model_inputs, layer_inputs):
    folder = OUT / name
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {f"{key}.{i}": value for i, batch in enumerate(batches) for key, value in batch.items()}
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    golden = {"rank": rank, "tau": tau, "batches": len(batches)}
    for way in ("peft", "exact"):
        use_svd(way == "exact")
        rows, fitted = eva(model.double(), batches, rank, tau, targets, model_inputs, layer_inputs)
        tensors |= {f"{way}.{path}": a.float() if way == "peft" else a for path, a in rows.items()}
        golden[f"{way}_fitted"] = fitted
    golden["distance"] = max((tensors[f"peft.{p}"] - tensors[f"exact.{p}"]).abs().max().item() for p in rows)
    save_file({key: value.contiguous() for key, value in tensors.items()}, folder / "golden.safetensors")
    (folder / "golden.json").write_text(json.dumps(golden, indent=1) + "\n")
    print(f"{name}: {golden}")


def deberta():
    torch.manual_seed(1)
    model = DebertaV2ForSequenceClassification(DebertaV2Config(
        vocab_size=48, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, max_position_embeddings=32,
        relative_attention=True, position_buckets=8, norm_rel_ebd="layer_norm", share_att_key=True, pos_att_type=["p2c", "c2p"],
        position_biased_input=False, type_vocab_size=0, layer_norm_eps=1e-7, initializer_range=0.3, num_labels=2)).eval()
    # A batch of 3 tokens: PEFT leaves out one that has fewer rows than components.
    batches = []
    for lengths in ([9, 14, 4, 11], [13, 7, 12], [3], [10, 12, 9, 14], [14, 13, 5, 8]):
        ids = padded(sequences(lengths, 48), 0)
        batches.append({"input_ids": ids, "attention_mask": (ids != 0).long()})

    def layer_inputs(inputs, tokens, name):
        x = inputs[0]
        if x.shape[:2] != tokens.shape:  # relative embeddings, not tokens: no rows, which PEFT passes over
            return x.new_zeros(0, x.shape[-1])
        return x[tokens]

    write_model("deberta", model, batches, 4, 0.99, r".*(query_proj|key_proj|value_proj|layer\.\d+\.\S*\.dense)",
                lambda batch, _: batch["attention_mask"].bool(), layer_inputs)


def bart():
    torch.manual_seed(2)
    model = BartForConditionalGeneration(BartConfig(
        vocab_size=40, d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2,
        encoder_ffn_dim=24, decoder_ffn_dim=24, max_position_embeddings=24, init_std=0.3, pad_token_id=1, bos_token_id=0, eos_token_id=2,
        decoder_start_token_id=2, forced_eos_token_id=2)).eval()
    batches = []
    for source, target in (([12, 7, 15], [6, 9, 4]), ([8, 16, 5], [8, 5, 7]), ([14, 11, 9], [4, 10, 8])):
        ids = padded(sequences(source, 40), 1)
        batches.append({"input_ids": ids, "attention_mask": (ids != 1).long(), "labels": padded(sequences(target, 40), IGNORED)})

    def layer_inputs(inputs, tokens, name):
        reads_source = ".encoder." in name or name.endswith(("encoder_attn.k_proj", "encoder_attn.v_proj"))
        return inputs[0][tokens["source" if reads_source else "target"]]

    write_model("bart", model, batches, 3, 0.99, r".*(q_proj|k_proj|v_proj|out_proj|fc1|fc2)",
                lambda batch, _: {"source": batch["attention_mask"].bool(), "target": batch["labels"] != IGNORED}, layer_inputs)


def activations():
    """Rows as layers read them (a mean, some large features, a falling spectrum, one feature constant), and PEFT's state after each batch."""
    torch.manual_seed(3)
    features, components, tau, counts = 24, 5, 0.995, [40, 5, 61, 30, 47, 52]
    mixing = torch.randn(features, features, dtype=torch.float64) * 0.75 ** torch.arange(features).unsqueeze(1)
    mean = torch.randn(features, dtype=torch.float64) * torch.where(torch.arange(features) % 7 == 0, 20.0, 1.0)
    tensors, states = {}, {"components": components, "tau": tau, "counts": counts, "peft_converged": [], "exact_converged": []}
    batches = [(torch.randn(n, features, dtype=torch.float64) @ mixing + mean).float() for n in counts]
    for i, rows in enumerate(batches):
        rows[:, 5] = 1.5
        tensors[f"rows.{i}"] = rows
    for way in ("peft", "exact"):
        use_svd(way == "exact")
        hook = SVDHook(components, tau, name="rows", prepare_layer_inputs_fn=lambda rows, *_: rows)
        for i, rows in enumerate(batches):
            counted(hook, None, rows, None)
            states[f"{way}_converged"].append(hook.converged.tolist())
            for key in ("components_", "singular_values_", "mean_", "var_", "explained_variance_ratio_"):
                tensors[f"{way}.{key}.{i}"] = getattr(hook.svd, key).double().clone().contiguous()
    save_file(tensors, OUT / "activations.safetensors")
    (OUT / "activations.json").write_text(json.dumps(states) + "\n")
    print(states, max((tensors[f"peft.components_.{i}"] - tensors[f"exact.components_.{i}"]).abs().max().item() for i in range(len(counts))))


OUT.mkdir(parents=True, exist_ok=True)
activations()
deberta()
bart()
