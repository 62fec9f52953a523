"""Importing this lets transformers' ModernBERT compute rotary positions in its own dtype.

As transformers 5.24 has it, queries, keys, cosines and sines of a float64 model are rounded to float32; frequencies and angles stay float32.
"""
import torch
from transformers.models.modernbert import modeling_modernbert as modeling


def rotate(q, k, cos, sin, unsqueeze_dim=1):
    cos, sin = cos.unsqueeze(unsqueeze_dim), sin.unsqueeze(unsqueeze_dim)
    return tuple(x * cos + modeling.rotate_half(x) * sin for x in (q, k))


def tables(self, x, position_ids, layer_type):
    angles = position_ids[..., None].float() * getattr(self, f"{layer_type}_inv_freq").float()
    angles = torch.cat((angles, angles), dim=-1).to(x.dtype)
    return angles.cos(), angles.sin()


modeling.apply_rotary_pos_emb = rotate
modeling.ModernBertRotaryEmbedding.forward = tables
