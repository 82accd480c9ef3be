"""Configuration: frozen dataclasses with the original project's hyper-parameter names."""

from electra_paddle.config.finetuning import FinetuningConfig
from electra_paddle.config.geometry import Geometry
from electra_paddle.config.loading import add_entries, load_config, resolve, save_config
from electra_paddle.config.pretraining import PretrainingConfig
from electra_paddle.config.shards import ShardSettings

__all__ = [
    "FinetuningConfig",
    "Geometry",
    "PretrainingConfig",
    "ShardSettings",
    "add_entries",
    "load_config",
    "resolve",
    "save_config",
]
