"""Chinese ELECTRA for PaddlePaddle.

Importing this package imports neither Paddle nor PaddleNLP: they take seconds, and `--help` or a
mistake in a configuration must not pay for them. The public names below load on first use.
"""

import importlib
from typing import Any

__version__ = "1.0.0rc1"

_PUBLIC = {
    "ElectraClassifier": "electra_paddle.models.heads",
    "ElectraForJointPretraining": "electra_paddle.models.pretraining",
    "FinetuningConfig": "electra_paddle.config",
    "PretrainingConfig": "electra_paddle.config",
    "Tokenizer": "electra_paddle.text",
    "Vocabulary": "electra_paddle.text",
    "TaskDescription": "electra_paddle.finetuning.description",
    "build_shards": "electra_paddle.data.build",
    "evaluate": "electra_paddle.finetuning.finetuned",
    "finetune": "electra_paddle.finetuning.run",
    "from_pretrained": "electra_paddle.conversion.published",
    "from_finetuned": "electra_paddle.finetuning.finetuned",
    "load_encoder": "electra_paddle.models.pretrained_directory",
    "load_module": "electra_paddle.hub.loading",
    "load_task": "electra_paddle.finetuning.description",
    "pretrain": "electra_paddle.pretraining.run",
    "search": "electra_paddle.finetuning.search",
}
__all__ = ["__version__", *sorted(_PUBLIC)]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return __all__
