"""Starts adapters and prunes them with numpy alone: test/core/adalora/starts-and-rules.golden.json.

  pip install numpy==2.4.6
  python test/oracle/starts_and_rules.py test/core/adalora/starts-and-rules.golden.json

Starts: first values of A, B and E by `--start paper` and `--start lora`, with adalora's random numbers: Philox4x32-10 (Salmon et al., SC
2011), whose counter is (index, 0, FNV-1a of the parameter's name, a word that names the use) and whose key is the seed. EVA's rows of A
are those of PEFT: test/oracle/eva.py.
Rules: which triplets `--allocator adalora | uniform | random` keep at each step of a falling budget, of ranks and of parameters, with the
final phase of the authors' code and with PEFT's. Written without reference to adalora's code: sort, add up, cut.
"""
import json, sys
import numpy as np

MASK = 0xFFFFFFFF


def philox(counter, key):
    """Ten rounds in Python's integers."""
    (c0, c1, c2, c3), (k0, k1) = counter, key
    for _ in range(10):
        p, q = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (q >> 32) ^ c1 ^ k0, q & MASK, (p >> 32) ^ c3 ^ k1, p & MASK
        k0, k1 = (k0 + 0x9E3779B9) & MASK, (k1 + 0xBB67AE85) & MASK
    return c0, c1, c2, c3


# Salmon et al.'s known answers (random123, kat_vectors)
assert philox((0,) * 4, (0, 0)) == (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)
assert philox((0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0)) == (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1)


def key_of(seed):
    return seed & MASK, seed >> 32


def stream(name):
    h = 0x811C9DC5
    for byte in name.encode():
        h = (h ^ byte) * 0x01000193 & MASK
    return h


def words(n, seed, name, use):
    use = int.from_bytes(use, "big")
    blocks = [philox((i, 0, stream(name), use), key_of(seed)) for i in range(-(-n // 4))]
    return np.array(blocks, dtype=np.float64).reshape(-1)


def normals(n, std, seed, name):
    """Box-Muller: two uniform words make two normal values."""
    u = words(n, seed, name, b"norm").reshape(-1, 2)
    radius, angle = np.sqrt(-2 * np.log((u[:, 0] + 1) / 2**32)), 2 * np.pi * u[:, 1] / 2**32
    return std * np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).reshape(-1)[:n]


def uniforms(n, bound, seed, name):
    return (((words(n, seed, name, b"unif") + 0.5) / 2**31 - 1) * bound)[:n]


def started(start, path, fan_in, fan_out, rank, seed, with_e):
    """Names are PEFT's: A [rank, in], E [rank, 1], B [out, rank]."""
    a, b = path + ".lora_A", path + ".lora_B"
    if start == "paper":
        values = dict(a=normals(rank * fan_in, 0.02, seed, a), b=normals(fan_out * rank, 0.02, seed, b), e=np.zeros(rank))
    else:
        values = dict(a=uniforms(rank * fan_in, 1 / np.sqrt(fan_in), seed, a), b=np.zeros(fan_out * rank), e=np.ones(rank))
    if not with_e:
        del values["e"]
    return {name: [float(np.float32(x)) for x in v] for name, v in values.items()}


def start_case(start, seed, with_e):
    layer = dict(path="encoder.layer.1.query", inFeatures=7, outFeatures=5, rank=3)
    return dict(start=start, seed=seed, hasE=with_e, **layer, values=started(start, layer["path"], 7, 5, 3, seed, with_e))


# --- rules ---

SHAPES, RANK, STEPS = [(4, 3), (3, 12), (9, 2), (6, 6)], 4, 16
WARMUP, FINAL, INTERVAL, BETA = 3, 5, 3, 0.85
COSTS = np.repeat([i + o + 1 for i, o in SHAPES], RANK)


def budget_at(t, initial, target):
    """Zhang et al. 2023, eq. 14, as the authors' code has it."""
    if t <= WARMUP:
        return initial
    if t > STEPS - FINAL:
        return target
    return int(target + (initial - target) * (1 - (t - WARMUP) / (STEPS - FINAL - WARMUP)) ** 3)


def shuffled(n, seed, name):
    """Fisher-Yates from the end, with words that are drawn anew where they would bias the remainder."""
    drawn = (w for block in range(10**6) for w in philox((block, 0, stream(name), int.from_bytes(b"shuf", "big")), key_of(seed)))
    order = list(range(n))
    for i in range(n - 1, 0, -1):
        word = next(w for w in drawn if w < 2**32 - 2**32 % (i + 1))
        j = word % (i + 1)
        order[i], order[j] = order[j], order[i]
    return np.array(order)


def best(scores, costs, budget):
    """The highest scores whose costs add up to at most the budget; nothing after the first that doesn't fit."""
    order = np.argsort(-scores, kind="stable")
    kept = np.zeros(len(scores), dtype=int)
    kept[order[np.cumsum(costs[order]) <= budget]] = 1
    return kept


def alike(scores, costs, budget):
    """The most triplets that fit if each matrix has the same share; each keeps its own best."""
    matrices, chosen = len(SHAPES), None
    for total in range(matrices * RANK + 1):
        ends = [(m + 1) * RANK * total // (matrices * RANK) for m in range(matrices)]
        shares = np.diff(ends, prepend=0)
        if (shares * costs[::RANK]).sum() <= budget:
            chosen = shares
    return np.concatenate([best(scores[m * RANK : (m + 1) * RANK], np.ones(RANK), share) for m, share in enumerate(chosen)])


def averages(seed):
    """Smoothed sensitivity and uncertainty (eq. 9 and 10) of random parameters and gradients, and the triplets' scores (eq. 7 and 8)."""
    rng = np.random.default_rng(seed)
    draw = lambda: [[rng.standard_normal(s) for s in ((RANK,), (RANK, i), (o, RANK))] for i, o in SHAPES]
    sens, unc = [[[np.zeros_like(x) for x in m] for m in draw()] for _ in range(2)]
    for t in range(STEPS - FINAL):
        for m, (ps, gs) in enumerate(zip(draw(), draw())):
            for k, (p, g) in enumerate(zip(ps, gs)):
                now = np.abs(p * g)
                sens[m][k] = BETA * sens[m][k] + (1 - BETA) * now
                unc[m][k] = BETA * unc[m][k] + (1 - BETA) * np.abs(now - sens[m][k])
        yield [[x.copy() for x in m] for m in sens], [[x.copy() for x in m] for m in unc]


def score(sens, unc):
    each = [[s * u for s, u in zip(ss, us)] for ss, us in zip(sens, unc)]
    return np.concatenate([e + a.mean(axis=1) + b.mean(axis=0) for e, a, b in each])


def rounded(parts):
    """In the order of the arena: all E's, then A and B of each matrix. Float32, as they are uploaded."""
    flat = [m[0] for m in parts] + [x for m in parts for x in m[1:]]
    return np.concatenate([x.reshape(-1) for x in flat]).astype(np.float32)


def rule_case(rule, unit, semantics, seed):
    costs = COSTS if unit == "parameters" else np.ones_like(COSTS)
    initial = int(costs.sum())
    target, order = initial // 2 - 1, shuffled(len(costs), seed, "random allocation")
    history, kept, rows = list(averages(1)), np.ones(len(costs), dtype=int), []
    first_final = STEPS - FINAL
    for t in range(STEPS):
        budget, is_final = budget_at(t, initial, target), t > first_final
        masks = t > WARMUP and (is_final or t % INTERVAL == 0)
        if semantics == "peft":
            masks = t > WARMUP and (t >= first_final or t % INTERVAL == 0)
        if masks and not (semantics == "peft" and is_final):  # PEFT keeps the mask that the final phase began with
            scores = order if rule == "random" else score(*history[min(t, len(history) - 1)])
            kept = (alike if rule == "uniform" else best)(scores, costs, budget)
        rows.append(dict(budget=budget, masked=bool(masks), kept="".join(map(str, kept))))
    return dict(rule=rule, unit=unit, semantics=semantics, seed=seed, initial=initial, target=target, steps=rows)


def history():
    """The averages before each mask, with five digits: their products have no ties."""
    digits = lambda parts: [float(f"{x:.5g}") for x in rounded(parts)]
    steps = [t for t in range(WARMUP + 1, STEPS - FINAL) if t % INTERVAL == 0] + [STEPS - FINAL - 1]
    return [dict(step=t, sensitivity=digits(s), uncertainty=digits(u)) for t, (s, u) in enumerate(averages(1)) if t in steps]


out = dict(
    starts=[start_case(start, seed, e) for start in ("paper", "lora") for seed in (42, 2**40 + 5) for e in (True, False)
            if start == "lora" or e],
    shapes=SHAPES, rank=RANK, schedule=dict(warmup=WARMUP, finalTuning=FINAL, interval=INTERVAL, steps=STEPS),
    averages=history(),
    rules=[rule_case(rule, unit, semantics, 11) for rule in ("adalora", "uniform", "random") for unit in ("ranks", "parameters")
           for semantics in ("reference", "peft")])
json.dump(out, open(sys.argv[1], "w"), separators=(",", ":"))
