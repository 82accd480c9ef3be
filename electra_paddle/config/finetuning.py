"""Hyper-parameters of fine-tuning, under the names of the original's `configure_finetuning`."""

import dataclasses
from pathlib import Path

from electra_paddle.config.entry import entry
from electra_paddle.config.pretraining import require_at_least, set_default_paths
from electra_paddle.errors import ConfigError


@dataclasses.dataclass(frozen=True)
class FinetuningConfig:
    """Fine-tuning of one model on tasks. Paths left out follow from `data_dir` and `model_name`."""

    data_dir: Path = entry(Path(), "folder of the models and of finetuning_data/TASK/{train,dev,test}.tsv")
    model_name: str = entry("electra", "name of the model below DATA_DIR/models, or of a published one")
    task_names: tuple[str, ...] = entry(("chnsenticorp",), "tasks to fine-tune on, one after the other")
    init_checkpoint: Path = entry(
        None, "pre-trained model, folder or published name; default DATA_DIR/models/MODEL_NAME"
    )
    output_dir: Path = entry(None, "where results are written; default DATA_DIR/models/MODEL_NAME")
    random_init: bool = entry(False, "keep the model's shape but not its weights: the baseline of pre-training")
    do_train: bool = entry(True, "train, instead of evaluating the models of an earlier run")
    do_eval: bool = entry(True, "evaluate on the dev split")
    do_test: bool = entry(True, "evaluate on the test split, where there is one")
    do_lower_case: bool = entry(True, "whether the vocabulary is lower-cased")
    max_seq_length: int = entry(128, "tokens of an example; longer ones are cut")
    num_trials: int = entry(1, "runs with different seeds, of which maximum and mean are reported")
    num_train_epochs: float = entry(3.0, "passes over the training examples")
    train_batch_size: int = entry(32, "examples of an update")
    eval_batch_size: int = entry(32, "examples of a batch in evaluation")
    learning_rate: float = entry(1e-4, "peak of the schedule; 3e-4 is recommended for small models")
    lr_decay_power: float = entry(1.0, "exponent of the decay; 1 is linear")
    warmup_proportion: float = entry(0.1, "share of the updates over which the learning rate rises")
    layerwise_lr_decay: float = entry(0.8, "learning-rate factor from one layer to the one below; 0 switches it off")
    weight_decay_rate: float = entry(0.01, "weight decay of everything but biases and layer norms")
    log_steps: int = entry(10, "updates between two lines of metrics")
    seed: int = entry(0, "the first trial's seed; each further trial adds one")

    def __post_init__(self):
        model_dir = self.data_dir / "models" / self.model_name
        set_default_paths(self, init_checkpoint=model_dir, output_dir=model_dir)
        require_at_least(self, 1, "num_trials", "train_batch_size", "eval_batch_size", "log_steps")
        require_at_least(self, 3, "max_seq_length")
        require_at_least(self, 0, "learning_rate", "num_train_epochs", "layerwise_lr_decay", "weight_decay_rate")
        if not 0 <= self.warmup_proportion <= 1:
            raise ConfigError("warmup_proportion", self.warmup_proportion, "between 0 and 1")
