"""chinese-legal-electra-small as a PaddleHub module."""

from paddlehub.module.module import moduleinfo
from paddlehub.module.nlp_module import TransformerModule

from electra_paddle.hub.module import ElectraModule


@moduleinfo(
    name="chinese-legal-electra-small",
    version="2.0.2",
    summary="Chinese ELECTRA, 12 layers, hidden size 256, 12M parameters, trained on judicial documents",
    author="electra-paddle",
    author_email="",
    type="nlp/semantic_model",
    meta=TransformerModule,
)
class ChineseLegalElectraSmall(ElectraModule):
    """The published weights, for the tasks of ElectraModule."""

    weights = "chinese-legal-electra-small"
