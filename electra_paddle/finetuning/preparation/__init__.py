"""Data sets as their owners publish them, laid out as fine-tuning reads them compared with what is known."""

from electra_paddle.finetuning.preparation.prepare import Prepared, prepare_task

__all__ = ["Prepared", "prepare_task"]
