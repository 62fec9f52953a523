"""Compares a saved tokenizer's ids in transformers with those of the released fast tokenizer.

  pip install transformers        # 4.57 and 5: run it with each
  python saved_tokenizer.py FOLDER CASES.jsonl

FOLDER: an adapter's or a merged model's folder, with tokenizer.json and tokenizer_config.json. CASES: lines with "text", "pair" (or
null), "opts" and "out": {"input_ids", "token_type_ids"} as transformers 4.57's own conversion of the vocabulary gives them; cases with
options are left out, and pairs whose second text is empty, which the tokenizer's call takes for none. Exits 1 at a difference.
"""
import json, sys
from transformers import AutoTokenizer, __version__

folder, cases = sys.argv[1:3]
tokenizer = AutoTokenizer.from_pretrained(folder)
rows = [json.loads(line) for line in open(cases, encoding="utf-8")]
rows = [row for row in rows if not row["opts"] and row["pair"] != ""]
wrong = []
for row in rows:
    got = tokenizer(row["text"], row["pair"])
    keys = ["input_ids"] + (["token_type_ids"] if "token_type_ids" in got else [])
    if any(got[key] != row["out"][key] for key in keys):
        wrong.append(row["id"])
print(f"transformers {__version__}, {type(tokenizer).__name__}: {len(wrong)} of {len(rows)} differ {wrong[:5]}")
sys.exit(1 if wrong else 0)
