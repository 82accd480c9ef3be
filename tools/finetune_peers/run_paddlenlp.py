"""PaddleNLP's Trainer with its ElectraForSequenceClassification: padded to the longest of a batch, in random order.

It has no option for rows of similar length. Its updates are held back until it has its turn.
"""

import json
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "pretrain_peers"))
from turns import Turns

from electra_paddle import runtime

settings = json.loads(sys.argv[1])
runtime.start()
from paddlenlp.data import DataCollatorWithPadding  # noqa: E402
from paddlenlp.trainer import Trainer, TrainerCallback, TrainingArguments  # noqa: E402
from paddlenlp.transformers import ElectraConfig, ElectraForSequenceClassification, ElectraTokenizer  # noqa: E402


class InTurns(TrainerCallback):
    """Asks before each update."""

    def __init__(self):
        self.turns = iter(Turns())

    def on_step_begin(self, args, state, control, **more):
        if next(self.turns, None) is None:
            sys.exit()


rows = json.loads(Path(settings["rows"]).read_text(encoding="utf-8"))
config = ElectraConfig(**settings["geometry"], num_labels=settings["num_labels"])
arguments = TrainingArguments(
    output_dir="trainer",
    per_device_train_batch_size=settings["batch_size"],
    learning_rate=settings["learning_rate"],
    num_train_epochs=settings["epochs"],
    save_strategy="no",
    report_to=[],
    logging_steps=10,
    device="cpu" if settings["is_cpu"] else "gpu",
)
Trainer(
    model=ElectraForSequenceClassification(config),
    args=arguments,
    data_collator=DataCollatorWithPadding(ElectraTokenizer(settings["vocabulary"])),
    train_dataset=rows,
    callbacks=[InTurns()],
).train()
