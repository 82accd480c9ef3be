"""chinese-electra-nano as a PaddleHub module."""

from paddlehub.module.module import moduleinfo
from paddlehub.module.nlp_module import TransformerModule

from electra_paddle.hub.module import ElectraModule


@moduleinfo(
    name="chinese-electra-nano",
    version="1.0.0",
    summary="Chinese ELECTRA, 4 layers, hidden size 256, 4.4M parameters, trained on 100 MB of open texts",
    author="electra-paddle",
    author_email="",
    type="nlp/semantic_model",
    meta=TransformerModule,
)
class ChineseElectraNano(ElectraModule):
    """The published weights, for the tasks of ElectraModule."""

    weights = "chinese-electra-nano"
