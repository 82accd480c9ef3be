"""Hugging Face's Trainer with ELECTRA in PyTorch: padded to the longest of a batch, rows of similar length together.

Its updates are held back until it has its turn. Runs in the environment that `make peers` makes.
"""

import json
import os
import sys
from pathlib import Path

os.environ["USE_TF"] = "0"  # the environment's TensorFlow is another peer's
from transformers import (
    DataCollatorWithPadding,
    ElectraConfig,
    ElectraForSequenceClassification,
    ElectraTokenizerFast,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

sys.path.append(str(Path(__file__).parents[1] / "pretrain_peers"))
from turns import Turns


class InTurns(TrainerCallback):
    """Asks before each update."""

    def __init__(self):
        self.turns = iter(Turns())

    def on_step_begin(self, args, state, control, **more):
        if next(self.turns, None) is None:
            sys.exit()


settings = json.loads(sys.argv[1])
rows = json.loads(Path(settings["rows"]).read_text(encoding="utf-8"))
tokenizer = ElectraTokenizerFast(vocab_file=settings["vocabulary"])
config = ElectraConfig(**settings["geometry"], num_labels=settings["num_labels"])
arguments = TrainingArguments(
    output_dir="trainer",
    per_device_train_batch_size=settings["batch_size"],
    learning_rate=settings["learning_rate"],
    num_train_epochs=settings["epochs"],
    group_by_length=True,
    save_strategy="no",
    report_to="none",
    logging_steps=10,
    use_cpu=settings["is_cpu"],
)
Trainer(
    ElectraForSequenceClassification(config),
    arguments,
    DataCollatorWithPadding(tokenizer),
    rows,
    callbacks=[InTurns()],
).train()
