"""Hyper-parameters of fine-tuning, under the names of the original's `configure_finetuning`."""

import dataclasses
import math
from pathlib import Path
from typing import Any, ClassVar

from electra_paddle.config.entry import entry
from electra_paddle.config.pretraining import (
    PRECISIONS,
    PretrainingConfig,
    require_at_least,
    require_one_of,
    set_default_paths,
)
from electra_paddle.errors import ConfigError
from electra_paddle.parsing import parse_yaml
from electra_paddle.schedules import SCHEDULES

CLASS_WEIGHTS = 'balanced, or {"label": factor, ...}'


@dataclasses.dataclass(frozen=True)
class FinetuningConfig:
    """Fine-tuning of one model on tasks. Paths left out follow from `data_dir` and `model_name`."""

    # What `debug` sets unless it is given too.
    DEBUG: ClassVar[dict[str, Any]] = {
        "train_batch_size": 32,
        "num_train_epochs": 3.0,
        "use_tfrecords_if_existing": False,
    }
    DEBUG_SHAPE: ClassVar[dict[str, Any]] = PretrainingConfig.DEBUG_SHAPE
    # Of GLUE, which is not among the tasks; and the record that a saved configuration carries.
    WITHOUT_EFFECT: ClassVar[tuple[str, ...]] = ("double_unordered", "experiment")

    data_dir: Path = entry(Path(), "folder of the models and of finetuning_data/TASK/", group="data")
    model_name: str = entry("electra", "name of the model below DATA_DIR/models, or of a published one")
    task_names: tuple[str, ...] = entry(
        ("chnsenticorp",), "tasks to fine-tune on, one after the other: names, or files that describe one"
    )
    debug: bool = entry(False, "a tiny network without pre-trained weights, on the first 100 examples of each file")
    init_checkpoint: Path = entry(
        None, "pre-trained model, folder or published name; default DATA_DIR/models/MODEL_NAME"
    )
    output_dir: Path = entry(None, "where results are written; default DATA_DIR/models/MODEL_NAME")
    begin_anew: bool = entry(False, "results of other settings in this place are removed; else they are refused")
    recommended: bool = entry(
        True, "begin with what is recommended for the task and this size of model, instead of defaults; yours win"
    )
    random_init: bool = entry(
        False, "keep the model's shape but not its weights: the baseline of pre-training", group="model"
    )
    model_size: str | None = entry(None, "small, base or large: refused if the pre-trained model is of another")
    model_hparam_overrides: dict[str, Any] = entry(
        {}, "dropout of the network; a shape other than the model's is refused"
    )
    embedding_size: int | None = entry(None, "refused if the pre-trained model has another")
    vocab_size: int | None = entry(None, "refused if the pre-trained model has another")
    do_lower_case: bool | None = entry(None, "whether text is lower-cased; default: as the model's tokenizer says")
    do_train: bool = entry(True, "train, instead of evaluating the models of an earlier run", group="what is done")
    do_eval: bool = entry(True, "evaluate on the dev split")
    do_test: bool = entry(True, "evaluate on the test and challenge splits, where there are any")
    num_trials: int = entry(1, "runs with different seeds, of which maximum and mean are reported; -1: without end")
    folds: int = entry(0, "parts of the training data; each trains one model on the others and is predicted by it")
    max_train_examples: int | None = entry(
        None, "the first so many training examples are used, to see what more of them bring; default: all"
    )
    ensemble: bool = entry(False, "also predict with all trials or folds together: the mean of their probabilities")
    keep_all_models: bool = entry(True, "false: keep the last trial's model only")
    on_error: str = entry("stop", "what a bad row does: stop, or skip it and list it")
    encoding: str | None = entry(None, "of the tasks' text files, instead of what their descriptions say")
    log_examples: bool = entry(False, "print the first examples as the network sees them")
    max_seq_length: int = entry(
        128, "tokens of a sequence; longer ones are cut, or make several in some tasks", group="optimization"
    )
    long_texts: str = entry(
        "cut", "texts beyond it, of kinds that answer for a text as a whole: cut, or windows (by doc_stride)"
    )
    num_train_epochs: float = entry(3.0, "passes over the training examples")
    train_batch_size: int = entry(32, "examples of an update, over all processes")
    learning_rate: float = entry(1e-4, "peak of the schedule; 3e-4 is recommended for small models")
    lr_schedule: str = entry("linear", "after the warm-up: linear (falling), constant, cosine, or module:function")
    lr_decay_power: float = entry(1.0, "exponent of the decay; 1 is linear")
    warmup_proportion: float = entry(0.1, "share of the updates over which the learning rate rises")
    layerwise_lr_decay: float = entry(0.8, "learning-rate factor from one layer to the one below; 0 switches it off")
    weight_decay_rate: float = entry(0.01, "weight decay of everything but biases and layer norms")
    max_bad_steps: int = entry(10, "updates in a row whose loss may be infinite or NaN before the run stops")
    gradient_accumulation_steps: int = entry(1, "parts that each process cuts its share of a batch into")
    precision: str = entry(
        "fp32",
        "of matrix products: fp32, bf16; on a GPU also tf32, fp16 (loss scaling), bf16_o2 (bf16 weights, fp32 masters)",
    )
    deterministic: bool = entry(False, "true: a GPU's results are the same each time, as a CPU's are; slower")
    length_batching: bool = entry(True, "batches of examples of similar length; false: drawn without regard to it")
    pad_to_max_length: bool = entry(False, "true: pad all batches to max_seq_length, as the original does")
    class_weights: str | dict[str, float] | None = entry(
        None, "factors of the classes' losses: balanced, or {label: factor}", group="regularization"
    )
    label_smoothing: float = entry(0.0, "share of the right label's weight that all classes get alike")
    focal_gamma: float = entry(0.0, "focal loss: exponent that takes weight from easy examples; 0: none")
    fgm_epsilon: float = entry(0.0, "FGM: length of the adversarial step on the word embeddings; 0: none")
    r_drop_alpha: float = entry(0.0, "R-Drop: weight of the divergence of two passes with other dropout; 0: none")
    ema_decay: float = entry(0.0, "exponential moving average of the weights, which are kept, such as 0.999; 0: none")
    eval_batch_size: int = entry(32, "examples of a batch in evaluation", group="evaluation")
    predict_batch_size: int = entry(32, "examples of a batch where a split has no labels")
    eval_steps: int | None = entry(None, "updates between evaluations on dev, of which the best model is kept")
    early_stopping: int = entry(0, "evaluations in a row without a better one after which a trial ends; 0: none")
    write_test_outputs: bool = entry(False, "write predictions of splits with labels too")
    n_writes_test: int = entry(5, "trials whose predictions, tables and pictures are written")
    write_probabilities: bool = entry(False, "write the probabilities of all classes, or the n best answers, too")
    threshold: float | None = entry(
        None, "least probability of a label where a text may have several; default: chosen on dev"
    )
    max_query_length: int = entry(64, "tokens of a question; longer ones are cut", group="reading comprehension")
    doc_stride: int = entry(128, "tokens from the start of a window of a long text to the next window's")
    n_best_size: int = entry(20, "answers that are looked at")
    max_answer_length: int | None = entry(None, "tokens of an answer; default 200, with compat reference 30")
    joint_prediction: bool = entry(True, "the end of an answer depends on its start")
    beam_size: int = entry(20, "starts, and ends for each, that joint prediction looks at")
    answerable_classifier: bool = entry(True, "also learn whether a window has the answer")
    answerable_uses_start_logits: bool = entry(True, "that classifier sees what the start logits point at")
    answerable_weight: float = entry(0.5, "weight of its loss")
    qa_na_threshold: float | None = entry(
        None, "logit above which a question has no answer, where that may be; default: chosen on dev, without it 0"
    )
    compat: str = entry("corrected", "corrected, or reference: answers and windows as the original finds them")
    use_tfrecords_if_existing: bool = entry(
        True, "take features made earlier from the same files and settings", group="run"
    )
    num_processes: int | None = entry(None, "processes that make features; default: one for each core")
    save_checkpoints_steps: int = entry(1000, "updates between checkpoints, from which the same command goes on")
    log_steps: int = entry(10, "updates between two lines of metrics")
    loggers: tuple[str, ...] = entry(
        ("progress", "jsonl", "visualdl"), "progress, jsonl, visualdl, tensorboard, wandb, swanlab, or module:Class"
    )
    callbacks: tuple[str, ...] = entry((), "callbacks of your own, as module:Class")
    seed: int = entry(0, "the first trial's seed; each further trial adds one")

    def __post_init__(self) -> None:
        model_dir = self.data_dir / "models" / self.model_name
        set_default_paths(self, init_checkpoint=model_dir, output_dir=model_dir)
        require_at_least(self, 1, "train_batch_size", "eval_batch_size", "predict_batch_size", "log_steps")
        require_at_least(self, 1, "save_checkpoints_steps", "gradient_accumulation_steps", "max_query_length")
        require_at_least(self, 1, "doc_stride", "n_best_size", "beam_size")
        require_at_least(self, 4, "max_seq_length")
        require_at_least(self, 0, "learning_rate", "num_train_epochs", "layerwise_lr_decay", "weight_decay_rate")
        require_at_least(self, 0, "early_stopping", "n_writes_test", "answerable_weight", "max_bad_steps")
        require_at_least(self, 0, "focal_gamma", "fgm_epsilon", "r_drop_alpha")
        object.__setattr__(self, "class_weights", read_class_weights(self.class_weights))
        for name in ("label_smoothing", "ema_decay"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(name, getattr(self, name), "at least 0 and below 1")
        if self.fgm_epsilon and self.precision == "fp16":
            raise ConfigError("fgm_epsilon", f"{self.fgm_epsilon:g} with fp16", "bf16 or fp32", "gradients underflow")
        SCHEDULES.check(self.lr_schedule)
        if self.lr_schedule == "warmup_stable_decay":
            raise ConfigError("lr_schedule", self.lr_schedule, "linear, constant or cosine", "a trial's end is known")
        require_one_of(self, "precision", PRECISIONS)
        require_one_of(self, "long_texts", ("cut", "windows"))
        if self.long_texts == "windows" and self.doc_stride > self.max_seq_length - 2:
            found = f"{self.doc_stride} with max_seq_length {self.max_seq_length} and long_texts windows"
            raise ConfigError("doc_stride", found, f"{self.max_seq_length - 2} at most", "tokens would be left out")
        require_one_of(self, "on_error", ("stop", "skip"))
        require_one_of(self, "compat", ("corrected", "reference"))
        require_one_of(self, "model_size", (None, "small", "base", "large"))
        for name in ("num_processes", "eval_steps", "max_answer_length", "max_train_examples"):
            if getattr(self, name) is not None:
                require_at_least(self, 1, name)
        if self.num_trials == 0:
            raise ConfigError("num_trials", 0, "at least 1, or -1 for trials without end")
        if self.early_stopping and not self.eval_steps:
            raise ConfigError("early_stopping", self.early_stopping, "0 without eval_steps", "give eval_steps")
        self.check_members()
        if self.begin_anew and not self.do_train:
            raise ConfigError("begin_anew", "true without do_train", "false", "models would be removed, and none made")
        for name, value in (("warmup_proportion", self.warmup_proportion), ("threshold", self.threshold)):
            if value is not None and not 0 <= value <= 1:
                raise ConfigError(name, value, "between 0 and 1")

    def check_members(self) -> None:
        """Refuse folds and ensembles of what a run does not make, or does not keep."""
        if self.folds < 0 or self.folds == 1:
            raise ConfigError("folds", self.folds, "at least 2, or 0 for none")
        if self.folds and self.num_trials != 1:
            raise ConfigError("num_trials", f"{self.num_trials} with folds", "1", "every fold is one model")
        if self.ensemble and self.num_models < 2:
            found = f"true with num_trials {self.num_trials}"
            raise ConfigError("ensemble", found, "2 trials or folds at least", "give num_trials or folds")
        if (self.folds or self.ensemble) and not self.keep_all_models:
            raise ConfigError("keep_all_models", "false with folds or an ensemble", "true", "all models are needed")

    @property
    def num_models(self) -> int:
        """Models that are trained on a task: one a trial, or one a fold; -1: without end."""
        return self.folds or self.num_trials

    @property
    def unit(self) -> str:
        """What each of them is called."""
        return "fold" if self.folds else "trial"


def read_class_weights(value: Any) -> Any:
    """`balanced`, or label -> factor, which the command line gives as JSON.

    Raises:
        ConfigError: it is neither.
    """
    if isinstance(value, str) and value != "balanced":
        try:
            value = parse_yaml(value)
        except ValueError as error:
            raise ConfigError("class_weights", repr(value), CLASS_WEIGHTS) from error
        if not isinstance(value, dict):
            raise ConfigError("class_weights", repr(value), CLASS_WEIGHTS)
        value = {str(label): factor for label, factor in value.items()}
    for label, factor in value.items() if isinstance(value, dict) else ():
        if type(factor) not in (int, float) or not 0 <= factor < math.inf:
            raise ConfigError(f"class_weights.{label}", repr(factor), "a factor, 0 or more")
    return value
