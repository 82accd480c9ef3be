import hashlib

import pytest
from fake_hub import Client, FakeHub

from electra_paddle import modelscope, published_models
from electra_paddle.errors import ConfigError, DataError
from electra_paddle.published_models import (
    COMPONENTS,
    MODELS,
    NANO,
    SHIPPED,
    fetch_file,
    repositories_of,
    repository,
)

NAME = "chinese-electra-180g-base"
REPOSITORY = f"hfl/{NAME}-discriminator"
VOCABULARY = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n我\n爱\n你\n".encode()
WEIGHTS = bytes(range(256)) * (11 * 2**12)  # 11 MB: huggingface_hub writes, and can resume, pieces of 10 MiB

CLIENT = """
import hashlib, json, sys
from electra_paddle.errors import DataError
from electra_paddle.published_models import fetch_file
from electra_paddle.text import Vocabulary

for name, filename in json.loads(sys.argv[1]):
    try:
        if filename == "vocab.txt":
            result = len(Vocabulary.load(name))
        else:
            result = hashlib.sha256(fetch_file(name, filename).read_bytes()).hexdigest()
    except DataError as error:
        result = str(error)
    print(json.dumps(result))
"""


@pytest.fixture
def hub():
    hub = FakeHub({"vocab.txt": VOCABULARY, "model.safetensors": WEIGHTS})
    yield hub
    hub.leave()


@pytest.fixture
def client(hub, tmp_path):
    """Function: (name, filename) pairs -> what came of each: number of tokens, sha256 or message."""
    return Client(CLIENT, hub, tmp_path / "home")


def test_all_repositories_have_a_name():
    repositories = [model.repository(component) for model in MODELS for component in COMPONENTS]
    assert len({name for name in repositories if name.startswith("hfl/")}) == 22 and len(set(repositories)) == 24
    assert {"hfl/chinese-electra-small-ex-generator", "hfl/chinese-legal-electra-large-generator"} < set(repositories)
    for name in repositories:
        assert repository(name) == repository(name.partition("/")[2]) == name


def test_model_of_this_package_needs_no_network_and_a_package_without_it_says_what_is_missing(monkeypatch, tmp_path):
    path = fetch_file(NANO.repository("generator"), "vocab.txt")
    assert path.is_file() and (path.parent / "model.safetensors").stat().st_size < 12e6
    copy = tmp_path / "published_models.py"
    for name in SHIPPED[1:]:
        (tmp_path / "pretrained/chinese_electra_nano").mkdir(parents=True, exist_ok=True)
        (tmp_path / "pretrained/chinese_electra_nano" / name).touch()
    monkeypatch.setattr(published_models, "__file__", str(copy))
    folder = tmp_path / "pretrained/chinese_electra_nano"
    with pytest.raises(DataError, match=f"chinese-electra-nano: found no model.safetensors in {folder}, expected the"):
        fetch_file(NANO.repository("discriminator"), "vocab.txt")


def test_short_name_is_the_discriminator():
    assert repository("chinese-electra-180g-small") == "hfl/chinese-electra-180g-small-discriminator"


@pytest.mark.parametrize("name", ["", "hfl/", "chinese-legal-electra-small-ex", "other/chinese-electra-base"])
def test_other_names_are_unknown(name):
    assert repository(name) is None


def test_vocabulary_is_fetched_once_and_then_needs_no_network(hub, client):
    assert client((NAME, "vocab.txt"), (REPOSITORY, "vocab.txt")) == [8, 8]
    assert [method for method, _, _ in hub.requests] == ["HEAD", "GET"]
    hub.leave()
    assert client((NAME, "vocab.txt")) == [8]
    assert client((NAME, "vocab.txt"), HF_HUB_OFFLINE="1") == [8]


def test_missing_network_is_told_with_a_way_round(hub, client):
    hub.leave()
    expected = f"expected vocab.txt of {REPOSITORY}"
    assert client((NAME, "vocab.txt")) == [
        f"{NAME}: found no connection to {hub.url} (ConnectionError), and nothing in the cache, {expected}; "
        "set HF_ENDPOINT to a mirror, such as https://hf-mirror.com, or ELECTRA_PADDLE_MODELSCOPE to an owner of "
        "copies on ModelScope, such as dienstag, or give the path of a vocab.txt"
    ]
    assert client((NAME, "vocab.txt"), HF_HUB_OFFLINE="1") == [
        f"{NAME}: found HF_HUB_OFFLINE set, and nothing in the cache, {expected}; "
        "unset it once, or give the path of a vocab.txt"
    ]


def test_refusals_are_told_with_what_to_do(hub, client):
    faults = {
        404: "to a mirror, such as https://hf-mirror.com",
        429: "try later",
        500: "try later",
        "stranger": "not seem to be on huggingface.co)",
    }
    models = [model.name for model in MODELS][: len(faults)]
    hub.faults = {repository(name): fault for name, fault in zip(models, faults, strict=True)}
    *messages, absent = client(*((name, "vocab.txt") for name in models), (REPOSITORY, "absent.txt"))
    for name, (fault, advice), message in zip(models, faults.items(), messages, strict=True):
        assert message.startswith(f"{name}: found ") and advice in message
        assert (f"HTTP {fault} from {hub.url}" in message) == isinstance(fault, int)
    assert absent.startswith(f"{REPOSITORY}: found HTTP 404 from {hub.url}")


def test_download_that_breaks_off_goes_on(hub, client):
    hub.faults = {REPOSITORY: "cut"}
    assert client((REPOSITORY, "model.safetensors")) == [hashlib.sha256(WEIGHTS).hexdigest()]
    assert hub.requests[-1] == ("GET", REPOSITORY, f"bytes={10 * 2**20}-")


def test_download_that_keeps_breaking_off_goes_on_the_next_time(hub, client):
    hub.faults = {REPOSITORY: "always cut"}
    message, _ = client((REPOSITORY, "model.safetensors"), (REPOSITORY, "absent.txt"))
    assert message.startswith(f"{REPOSITORY}: found a download that broke off at {hub.url}")
    assert "start again" in message
    hub.faults, hub.requests = {}, []
    assert client((REPOSITORY, "model.safetensors")) == [hashlib.sha256(WEIGHTS).hexdigest()]
    assert hub.requests[-1] == ("GET", REPOSITORY, f"bytes={10 * 2**20}-")


def test_download_that_cannot_go_on_starts_afresh(hub, client):
    hub.faults = {REPOSITORY: "always cut"}
    client((REPOSITORY, "model.safetensors"))
    hub.faults = {REPOSITORY: "deaf"}
    assert client((REPOSITORY, "model.safetensors")) == [hashlib.sha256(WEIGHTS).hexdigest()]


def test_file_of_another_size_than_announced_is_refused(hub, client):
    hub.faults = {REPOSITORY: "short"}
    (message,) = client((NAME, "vocab.txt"))
    assert message.startswith(f"{NAME}: found a download that broke off")
    hub.faults = {}
    assert client((NAME, "vocab.txt")) == [8]


def test_content_with_another_checksum_is_refused_and_not_kept(hub, client):
    hub.faults = {REPOSITORY: "changed"}
    (message,) = client((REPOSITORY, "model.safetensors"))
    assert message.startswith(f"{REPOSITORY}: found content with another checksum than announced at {hub.url}")
    hub.faults = {}
    assert client((REPOSITORY, "model.safetensors")) == [hashlib.sha256(WEIGHTS).hexdigest()]


def test_name_without_component_stands_for_both_networks():
    assert repositories_of("chinese-electra-180g-small") == [
        f"hfl/chinese-electra-180g-small-{component}" for component in ("discriminator", "generator")
    ]
    assert repositories_of("hfl/chinese-electra-small-generator") == ["hfl/chinese-electra-small-generator"]
    assert repositories_of("bert-base-chinese") == []


def test_model_of_another_owner_is_known_once_it_is_registered(monkeypatch):
    from electra_paddle import published_models
    from electra_paddle.conversion.published import geometry

    monkeypatch.setattr(published_models, "MODELS", list(MODELS))
    shape = (("num_hidden_layers", 4), ("hidden_size", 256))
    mine = published_models.PublishedModel("tang-poems", "tiny", "poems", "someone", "MIT", 8000, shape, "small")
    assert repository("tang-poems-tiny") is None
    published_models.register_model(mine)
    published_models.register_model(mine)
    assert repositories_of("tang-poems-tiny") == [f"someone/tang-poems-tiny-{part}" for part in COMPONENTS]
    assert repository("someone/tang-poems-tiny-generator") == "someone/tang-poems-tiny-generator"
    found = geometry(mine, "discriminator")
    assert (found.num_hidden_layers, found.vocab_size, found.embedding_size) == (4, 8000, 128)
    with pytest.raises(ConfigError, match="model: found chinese-electra-base, expected a name that no published"):
        published_models.register_model(published_models.PublishedModel("chinese-electra", "base", "poems", "someone"))


def test_copy_on_modelscope_is_taken_where_its_owner_is_asked_for(hub, client):
    name = f"someone/{NAME}-discriminator"
    hub.files[name] = {"vocab.txt": VOCABULARY + b"here\n", "model.safetensors": WEIGHTS}
    hub.faults = {REPOSITORY: 503, name: "cut"}
    calls = (NAME, "vocab.txt"), (REPOSITORY, "model.safetensors"), (REPOSITORY, "config.json")
    *found, missing = client(*calls, ELECTRA_PADDLE_MODELSCOPE="someone")
    assert found == [9, hashlib.sha256(WEIGHTS).hexdigest()]
    assert missing.startswith(
        f"{REPOSITORY}: found HTTP 404 from ModelScope, and nothing in the cache, expected config.json of"
    )
    assert f"NOTE: {REPOSITORY}: taken from ModelScope's {name}, a copy" in client.stderr
    assert {asked for method, asked, _ in hub.requests if asked.startswith("hfl/")} == set()
    hub.requests.clear()
    hub.leave()
    assert client(*calls[:2], ELECTRA_PADDLE_MODELSCOPE="someone") == found


def test_modelscope_without_its_client_is_one_sentence(monkeypatch):
    monkeypatch.setenv("ELECTRA_PADDLE_MODELSCOPE", "someone")
    monkeypatch.setattr(modelscope, "is_installed", lambda: False)
    with pytest.raises(
        DataError, match=r"found someone, and no client of ModelScope.*pip install 'electra-paddle\[model"
    ):
        fetch_file(REPOSITORY, "not-in-any-cache.txt")
