"""Every task of a module, by its name."""

from electra_paddle.hub.question_answering import QuestionAnswering
from electra_paddle.hub.tasks import Classification, Embedding, PairClassification, Similarity, TextMatching
from electra_paddle.hub.token_tasks import FillMask, ReplacedTokenDetection, TokenClassification

TASKS = {
    "embedding": Embedding(),
    "seq-cls": Classification(),
    "pair-cls": PairClassification(),
    "token-cls": TokenClassification(),
    "text-matching": TextMatching(),
    "similarity": Similarity(),
    "question-answering": QuestionAnswering(),
    "fill-mask": FillMask(),
    "replaced-token-detection": ReplacedTokenDetection(),
}
