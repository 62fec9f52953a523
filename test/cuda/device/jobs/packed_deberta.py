"""DeBERTa without padding, its attention by disentangled-flash (Triton; plain torch on a CPU).

squad-b16 has another loss than with the model's own attention, whose padding takes part in its softmax.

Differs from the package's own use in three places, for PEFT and for speed: projections are called as
modules, since PEFT's increments are no part of their weights; lengths are known on the host, so
that nothing waits for the device; and states are cast once a layer under autocast, since the
package picks its kernels by their type.
"""

import itertools

import disentangled_flash
import torch
from transformers.modeling_outputs import BaseModelOutput

NAME = f"disentangled-flash {disentangled_flash.__version__}, packed"


class Packing:
    """Where the tokens of a batch padded on the right lie."""

    def __init__(self, lengths, width, device):
        offsets = tuple(itertools.accumulate(lengths, initial=0))
        tokens = [row * width + column for row, length in enumerate(lengths) for column in range(length)]
        self.info = disentangled_flash.PackedSequenceInfo(offsets, tuple(lengths), max(lengths))
        self.starts = torch.tensor(offsets, dtype=torch.int32, device=device)
        self.tokens = torch.tensor(tokens, device=device)


class Packed:
    """Replaces the encoder of a model, before PEFT wraps it. Set `packing` before each step."""

    def __init__(self, model, device):
        self.packing = None
        backend = "triton" if torch.device(device).type == "cuda" else "torch"
        disentangled_flash.optimize_deberta_training(model.deberta, backend=backend)
        encoder = model.deberta.encoder
        if not isinstance(encoder, disentangled_flash.DebertaV2OptimizedEncoder):
            raise RuntimeError("disentangled-flash has left the model as it was: no Triton")
        for layer in encoder.layer:
            call_projections(layer.attention.self)
        encoder.forward = self.forward_of(encoder)

    def forward_of(self, encoder):
        def forward(states, attention_mask, **_):
            packing = self.packing
            tokens = states.flatten(0, 1)
            result = encoder.forward_packed(
                tokens[packing.tokens], packing.starts, packing.info.max_seqlen,
                output_hidden_states=False, packed_info=packing.info,
            ).last_hidden_state
            padded = result.new_zeros(tokens.shape).index_copy(0, packing.tokens, result).view(states.shape)
            return BaseModelOutput(last_hidden_state=padded, hidden_states=(padded,))

        return forward


def call_projections(attention):
    packed = attention.forward_packed

    def project(states):
        return attention.query_proj(states), attention.key_proj(states), attention.value_proj(states)

    def forward_packed(states, *args, **kwargs):
        if torch.is_autocast_enabled(states.device.type):
            states = states.to(torch.get_autocast_dtype(states.device.type))
        return packed(states, *args, **kwargs)

    attention._project_qkv = project
    attention.forward_packed = forward_packed
