"""Fine-tuning on the embedded reviews, beside the same network from random weights and beside a linear model."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from electra_paddle.published_models import NANO

if TYPE_CHECKING:
    from electra_paddle.finetuning.report import Results

SAMPLE = Path(__file__).parents[1] / "sample"  # train.tsv, dev.tsv and test.tsv: label, text
SPLITS = ("train", "dev", "test")
TASK = "reviews"
LABELS = ("负面", "正面")
SETTINGS: dict[str, Any] = {
    "max_seq_length": 64,
    "train_batch_size": 16,
    "learning_rate": 3e-4,
    "eval_steps": 113,  # an epoch
    "loggers": ("progress", "jsonl"),
    "write_test_outputs": True,
}
UNSEEN = (  # in no file; the first three are meant well
    ("房间又大又安静，服务员特别热情，下次还会来。", 1),
    ("故事讲得很感人，一个晚上就读完了，推荐。", 1),
    ("屏幕清晰，电池也耐用，这个价钱很划算。", 1),
    ("键盘用了三天就坏了，客服一直推脱，太失望了。", 0),
    ("菜上得慢，还是凉的，再也不来了。", 0),
    ("快递把箱子摔坏了，打电话也没人管。", 0),
)


class Unseen(NamedTuple):
    """A review that was in no file, and its answer."""

    text: str
    label: str
    answer: str
    probability: float


def read_split(split: str) -> tuple[list[str], list[int]]:
    """(texts, labels) of a split."""
    with open(SAMPLE / f"{split}.tsv", encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [row["text_a"] for row in rows], [int(row["label"]) for row in rows]


def linear_model(features: Any = None) -> Any:
    """scikit-learn's logistic regression, on characters and pairs of them unless other features are given."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    features = features or TfidfVectorizer(analyzer="char", ngram_range=(1, 2), sublinear_tf=True)
    return make_pipeline(features, LogisticRegression(C=10, max_iter=1000))


def linear_accuracy() -> dict[str, float]:
    """split -> accuracy in percent of the linear model."""
    model = linear_model().fit(*read_split("train"))
    return {split: 100 * float(model.score(*read_split(split))) for split in ("dev", "test")}


def finetune(folder: Path, num_train_epochs: float, random_init: bool = False) -> Results:
    """Fine-tune chinese-electra-nano, or the same network from random weights, on the reviews.

    Args:
        folder: where data, results and the model are written.
    """
    import electra_paddle

    data = folder / "finetuning_data" / TASK
    data.mkdir(parents=True, exist_ok=True)
    for split in SPLITS:
        shutil.copy(SAMPLE / f"{split}.tsv", data)
    task = electra_paddle.TaskDescription(
        TASK, "classification", header="auto", columns={"label": 0, "text_a": 1}, labels=("0", "1")
    )
    return electra_paddle.finetune(
        task,
        data_dir=folder,
        init_checkpoint=NANO.name,
        output_dir=folder / ("random" if random_init else "finetuned"),
        random_init=random_init,
        num_train_epochs=num_train_epochs,
        **SETTINGS,
    )


def accuracy(results: Results) -> dict[str, float]:
    """split -> accuracy in percent of a run's only trial."""
    return {split: results.trials[0][split]["accuracy"] for split in ("dev", "test")}


def remark(accuracies: Mapping[str, Mapping[str, float]]) -> str:
    """What the accuracies of all models on test say of the pre-training."""
    own = accuracies[NANO.name]["test"]
    others = {name: values["test"] for name, values in accuracies.items() if name != NANO.name}
    ahead = [name for name, value in others.items() if value >= own]
    if not ahead:
        return "pre-training helps: it is ahead of " + " and ".join(others)
    return (
        f"not ahead of {' and '.join(ahead)}: its short pre-training brings these reviews little, see the model's card"
    )


def answer_unseen(model: Path) -> list[Unseen]:
    """What a fine-tuned model says of UNSEEN."""
    import electra_paddle

    answers = electra_paddle.from_finetuned(model).predict([text for text, _ in UNSEEN], with_probabilities=True)
    return [
        Unseen(text, LABELS[label], LABELS[int(answer)], probabilities[answer])
        for (text, label), (answer, probabilities) in zip(UNSEEN, answers, strict=True)
    ]
