"""chinese-legal-electra-base as a PaddleHub module."""

from paddlehub.module.module import moduleinfo
from paddlehub.module.nlp_module import TransformerModule

from electra_paddle.hub.module import ElectraModule


@moduleinfo(
    name="chinese-legal-electra-base",
    version="2.0.2",
    summary="Chinese ELECTRA, 12 layers, hidden size 768, 102M parameters, trained on judicial documents",
    author="electra-paddle",
    author_email="",
    type="nlp/semantic_model",
    meta=TransformerModule,
)
class ChineseLegalElectraBase(ElectraModule):
    """The published weights, for the tasks of ElectraModule."""

    weights = "chinese-legal-electra-base"
