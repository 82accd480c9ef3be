"""A classifier as a hub module, with one of its engines."""

import json
import sys
import tempfile
from pathlib import Path

from paddlenlp.transformers import ElectraConfig

from electra_paddle.hub.deployment.engines import ENGINES
from electra_paddle.hub.module import ElectraModule
from electra_paddle.models.heads import ElectraClassifier
from electra_paddle.models.initialization import initialize
from electra_paddle.models.pretrained_directory import save_pretrained
from electra_paddle.text import Vocabulary

sys.path.append(str(Path(__file__).parents[1] / "pretrain_peers"))
from turns import Turns

settings = json.loads(sys.argv[1])
items = [[text] for text in json.loads(Path(settings["texts"]).read_text(encoding="utf-8"))]
with tempfile.TemporaryDirectory() as folder:
    network = ElectraClassifier(ElectraConfig(**settings["geometry"]))
    initialize(network, seed=0)
    vocabulary = Vocabulary.load(settings["vocabulary"])
    save_pretrained(network, Path(folder) / "model", vocabulary, True, "")
    model = ElectraModule("seq-cls", pretrained=Path(folder) / "model")
    model.name = "benchmark"  # as a module's folder has one
    engine, _, precision = settings["engine"].partition("_")
    if engine != "eager":
        model.export(Path(folder) / "network", ENGINES[engine], precision or "fp32")
    options = {"max_seq_len": settings["max_seq_length"], "batch_size": settings["batch_size"], "engine": engine}
    for _ in Turns():
        model.predict(items, **options)
