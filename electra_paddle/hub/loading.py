"""A module for any weights, installed in PaddleHub or not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from electra_paddle.conversion.published import published_name
from electra_paddle.errors import ConfigError, ElectraPaddleError, reason

if TYPE_CHECKING:
    from electra_paddle.hub.module import ElectraModule


def load_module(model: str | Path, task: str | None = None, **arguments: Any) -> ElectraModule:
    """The module that answers for a model: what `hub.Module` gives, also where PaddleHub has nothing installed.

    Args:
        model: a pretrained or fine-tuned directory, the name of a published model, an installed module's name, or the
            folder of a module.
        task: one of the module's tasks [what the weights were fine-tuned for, else "embedding"].
        arguments: as ElectraModule takes them.

    Raises:
        ConfigError, CheckpointError, DataError: there is none, or it does not do the task.

    Examples:
        >>> load_module("chinese-electra-nano", "fill-mask").predict("哈尔滨是[MASK]龙江省的省会。", top_k=3)
    """
    from electra_paddle.hub.module import ElectraModule

    path = Path(model)
    if not (path / "module.py").is_file() and (path.exists() or published_name(model)):
        name = path.resolve().name if path.exists() else str(model).rpartition("/")[2]
        kind = type("Loaded", (ElectraModule,), {"name": name, "summary": "", "directory": ""})
        module: ElectraModule = kind(task=task, pretrained=model, **arguments)
        return module
    import paddlehub

    source = {"directory": str(path)} if path.is_dir() else {"name": str(model)}
    try:
        return paddlehub.Module(**source, task=task, **arguments)
    except ElectraPaddleError:
        raise
    except Exception as error:  # PaddleHub knows no such module, cannot ask its server, or the module's code fails
        expected = "a directory of weights, a published name or an installed module"
        raise ConfigError("MODEL", f"{model} ({type(error).__name__}: {reason(error)})", expected) from error
