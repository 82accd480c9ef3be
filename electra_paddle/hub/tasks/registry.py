"""All tasks of a module, by name."""

from electra_paddle import task_kinds
from electra_paddle.hub.tasks.base import Task
from electra_paddle.hub.tasks.classification import Classification, PairClassification, TextMatching
from electra_paddle.hub.tasks.embedding import Embedding, Similarity
from electra_paddle.hub.tasks.multi_label import MultiLabelClassification, PairMultiLabelClassification
from electra_paddle.hub.tasks.multiple_choice import MultipleChoice, PairMultipleChoice
from electra_paddle.hub.tasks.pretraining import FillMask, ReplacedTokenDetection
from electra_paddle.hub.tasks.question_answering import QuestionAnswering
from electra_paddle.hub.tasks.regression import PairRegression, Regression
from electra_paddle.hub.tasks.tagging import TokenClassification
from electra_paddle.hub.tasks.text_correction import TextCorrection

BUILT_IN: dict[str, Task] = {
    "embedding": Embedding(),
    "seq-cls": Classification(),
    "pair-cls": PairClassification(),
    "multi-label-cls": MultiLabelClassification(),
    "pair-multi-label-cls": PairMultiLabelClassification(),
    "regression": Regression(),
    "pair-regression": PairRegression(),
    "multiple-choice": MultipleChoice(),
    "pair-multiple-choice": PairMultipleChoice(),
    "token-cls": TokenClassification(),
    "text-matching": TextMatching(),
    "similarity": Similarity(),
    "question-answering": QuestionAnswering(),
    "fill-mask": FillMask(),
    "replaced-token-detection": ReplacedTokenDetection(),
    "text-correction": TextCorrection(),
}


def tasks() -> dict[str, Task]:
    """Name -> task: those of this package, and those of kinds that were registered from outside."""
    registered = {entry.hub_task: entry.hub for entry in task_kinds.KINDS.values() if entry.hub_task not in BUILT_IN}
    return BUILT_IN | {name: task_kinds.load_class(path)() for name, path in registered.items()}
