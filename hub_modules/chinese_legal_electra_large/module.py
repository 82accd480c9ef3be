"""chinese-legal-electra-large as a PaddleHub module."""

from paddlehub.module.module import moduleinfo
from paddlehub.module.nlp_module import TransformerModule

from electra_paddle.hub.module import ElectraModule


@moduleinfo(
    name="chinese-legal-electra-large",
    version="2.0.2",
    summary="Chinese ELECTRA, 24 layers, hidden size 1024, 326M parameters, trained on judicial documents",
    author="electra-paddle",
    author_email="",
    type="nlp/semantic_model",
    meta=TransformerModule,
)
class ChineseLegalElectraLarge(ElectraModule):
    """The published weights, for the tasks of ElectraModule."""

    weights = "chinese-legal-electra-large"
