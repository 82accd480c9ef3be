"""chinese-electra-180g-large as a PaddleHub module."""

from paddlehub.module.module import moduleinfo
from paddlehub.module.nlp_module import TransformerModule

from electra_paddle.hub.module import ElectraModule


@moduleinfo(
    name="chinese-electra-180g-large",
    version="2.0.2",
    summary="Chinese ELECTRA, 24 layers, hidden size 1024, 326M parameters, trained on 180 GB of web text",
    author="electra-paddle",
    author_email="",
    type="nlp/semantic_model",
    meta=TransformerModule,
)
class ChineseElectra180gLarge(ElectraModule):
    """The published weights, for the tasks of ElectraModule."""

    weights = "chinese-electra-180g-large"
