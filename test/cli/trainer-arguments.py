"""Prints trainer-arguments.json: the fields of transformers' Seq2SeqTrainingArguments, which has all
of TrainingArguments', each with the words that would set it to its default (null: it has none).

python test/cli/trainer-arguments.py > test/cli/trainer-arguments.json
"""

import dataclasses
import enum
import json

import transformers


def words(field):
    value = field.default
    if value is dataclasses.MISSING:
        return None
    if isinstance(value, enum.Enum):
        value = value.value
    return None if value is None else str(value)


fields = dataclasses.fields(transformers.Seq2SeqTrainingArguments)
arguments = {field.name: words(field) for field in fields if field.init}
print(json.dumps({"transformers": transformers.__version__, "arguments": arguments}, indent=2))
