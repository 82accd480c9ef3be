"""chinese-electra-large as a PaddleHub module."""

from paddlehub.module.module import moduleinfo
from paddlehub.module.nlp_module import TransformerModule

from electra_paddle.hub.module import ElectraModule


@moduleinfo(
    name="chinese-electra-large",
    version="2.0.2",
    summary="Chinese ELECTRA, 24 layers, hidden size 1024, 326M parameters, trained on Wikipedia and other web text",
    author="electra-paddle",
    author_email="",
    type="nlp/semantic_model",
    meta=TransformerModule,
)
class ChineseElectraLarge(ElectraModule):
    """The published weights, for the tasks of ElectraModule."""

    weights = "chinese-electra-large"
