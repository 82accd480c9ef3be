"""Hugging Face's pipeline with ELECTRA in PyTorch. Runs in the environment that `make peers` makes."""

import json
import sys
from pathlib import Path

from transformers import ElectraConfig, ElectraForSequenceClassification, ElectraTokenizerFast, pipeline

sys.path.append(str(Path(__file__).parents[1] / "pretrain_peers"))
from turns import Turns

settings = json.loads(sys.argv[1])
texts = json.loads(Path(settings["texts"]).read_text(encoding="utf-8"))
classify = pipeline(
    "text-classification",
    model=ElectraForSequenceClassification(ElectraConfig(**settings["geometry"])).eval(),
    tokenizer=ElectraTokenizerFast(vocab_file=settings["vocabulary"]),
    device="cpu",
)
for _ in Turns():
    classify(texts, batch_size=settings["batch_size"], truncation=True, max_length=settings["max_seq_length"])
