"""Published names, with the real client against a server that serves small networks under them."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from fake_hub import COMMIT, Client, FakeHub, environment, read_files
from safetensors.numpy import load_file, save_file

from electra_paddle.conversion.published import LAYOUT, geometry, published_name
from electra_paddle.conversion.torch_file import read_torch_file
from electra_paddle.published_models import COMPONENTS, MODELS, repository

GOLDEN = ROOT / "tests/golden/huggingface_micro"
NAME = "chinese-electra-180g-small"
DISCRIMINATOR, GENERATOR = (f"hfl/{NAME}-{component}" for component in COMPONENTS)

CLIENT = """
import json, sys
from electra_paddle.conversion.published import pretrained_directories, pretrained_directory
from electra_paddle.errors import ElectraPaddleError

for kind, name in json.loads(sys.argv[1]):
    try:
        result = pretrained_directories(name) if kind == "pair" else [pretrained_directory(name)]
        print(json.dumps([str(path) for path in result]))
    except ElectraPaddleError as error:
        print(json.dumps(str(error)))
assert "paddle" not in sys.modules
"""
PARAMETERS = {  # as published: size -> (discriminator, generator)
    "small": (12_346_625, 3_408_200),
    "small-ex": (24_561_153, 6_795_208),
    "base": (102_268_417, 22_279_496),
    "nano": (4_348_161, 4_323_264),
    "large": (325_523_457, 41_666_440),
}


@pytest.fixture
def hub():
    hub = FakeHub()
    for model in MODELS:
        for component in COMPONENTS:
            hub.files[model.repository(component)] = read_files(GOLDEN / component)
    yield hub
    hub.leave()


@pytest.fixture
def client(hub, tmp_path):
    """Function: (kind, name) pairs -> what came of each: list of folders or message."""
    return Client(CLIENT, hub, tmp_path / "home")


@pytest.fixture
def safetensors_file(tmp_path):
    """Content of a model.safetensors that holds what the golden discriminator's file holds."""
    save_file(dict(read_torch_file(GOLDEN / "discriminator/pytorch_model.bin")), tmp_path / "model.safetensors")
    return (tmp_path / "model.safetensors").read_bytes()


def kept(tmp_path):
    """Names of everything in the folder of converted models."""
    return sorted(path.name for path in tmp_path.glob("home/electra-paddle/*/*"))


def methods(hub):
    return [method for method, _, _ in hub.requests]


def test_published_shapes_have_the_published_numbers_of_parameters():
    for model in MODELS:
        discriminator, generator = (geometry(model, component) for component in COMPONENTS)
        counts = (
            discriminator.num_body_parameters + discriminator.num_rtd_head_parameters,
            generator.num_body_parameters + generator.num_mlm_head_parameters,
        )
        assert counts == PARAMETERS[model.size]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (NAME, NAME),
        (f"hfl/{NAME}-generator", f"hfl/{NAME}-generator"),
        (f"models/{NAME}", None),
        ("mine", None),
    ],
)
def test_published_names_are_told_from_paths(path, name):
    assert published_name(path) == name


def test_place_of_a_model_in_fine_tuning_means_its_name(client):
    calls = [f"data/models/{NAME}", f"models/hfl/{NAME}-generator", f"weights/{NAME}", "models/mine"]
    one, two, *messages = client(*(("one", path) for path in calls))
    assert DISCRIMINATOR.replace("/", "--") in one[0] and GENERATOR.replace("/", "--") in two[0]
    for path, message in zip(calls[2:], messages, strict=True):
        assert message.startswith(f"{path}: found no such file or folder") and "electra_paddle models" in message


def test_name_is_fetched_and_converted_once_and_then_needs_nothing(hub, client, tmp_path):
    ((folder,),) = client(("one", NAME))
    assert f"{COMMIT}/pytorch_model.bin: 43 parameters loaded, 0 missing, 0 extra" in client.stderr
    assert f"{DISCRIMINATOR}: kept in {folder}" in client.stderr
    assert json.loads((tmp_path / folder / "config.json").read_text())["architectures"] == ["ElectraDiscriminator"]
    hub.requests.clear()
    assert client(("one", NAME), ("one", DISCRIMINATOR)) == [[folder], [folder]]
    assert hub.requests == [] and client.stderr == ""
    hub.leave()
    assert client(("one", NAME), HF_HUB_OFFLINE="1") == [[folder]]
    shutil.rmtree(tmp_path / "home/hub")
    assert client(("one", NAME)) == [[folder]]


def test_model_of_this_package_is_found_without_network(hub, client, tmp_path):
    hub.leave()
    one, both, generator = client(
        ("one", "chinese-electra-nano"),
        ("pair", "chinese-electra-nano"),
        ("one", "electra-paddle/chinese-electra-nano-generator"),
        HF_HUB_OFFLINE="1",
    )
    assert both == [one[0], generator[0]]
    kinds = [json.loads((tmp_path / path / "config.json").read_text())["architectures"] for path in both]
    assert kinds == [["ElectraDiscriminator"], ["ElectraGenerator"]] and not hub.requests


def test_fetched_files_are_converted_without_network(hub, client, tmp_path):
    client(("one", NAME))
    shutil.rmtree(tmp_path / "home/electra-paddle")
    hub.leave()
    ((folder,),) = client(("one", NAME), HF_HUB_OFFLINE="1")
    assert kept(tmp_path) == [f"{COMMIT}-{LAYOUT}", f"{COMMIT}-{LAYOUT}.lock"] and COMMIT in folder


def test_safetensors_are_preferred(hub, client, safetensors_file):
    hub.files[DISCRIMINATOR]["model.safetensors"] = safetensors_file
    ((folder,),) = client(("one", NAME))
    assert f"{COMMIT}/model.safetensors: 43 parameters loaded" in client.stderr
    hub.files[GENERATOR] = {**hub.files[DISCRIMINATOR]}
    del hub.files[GENERATOR]["pytorch_model.bin"]
    ((other,),) = client(("one", GENERATOR))
    one, two = (load_file(f"{path}/model.safetensors") for path in (folder, other))
    assert all((one[name] == two[name]).all() for name in one)


def test_name_of_a_model_is_both_networks_where_a_pair_is_wanted(client):
    (pair, one) = client(("pair", NAME), ("pair", GENERATOR))
    kinds = [json.loads(Path(folder, "config.json").read_text())["architectures"][0] for folder in pair]
    assert kinds == ["ElectraDiscriminator", "ElectraGenerator"]
    assert one == pair[1:]


def test_folder_of_ones_own_goes_before_a_name(client, tmp_path):
    shutil.copytree(GOLDEN / "discriminator", tmp_path / "models" / NAME)
    ((found,),) = client(("one", str(tmp_path / "models" / NAME)))
    assert Path(found).parent == tmp_path / "home/electra-paddle/local"  # Hugging Face's, converted


def test_two_processes_at_once_share_the_work(hub, client, tmp_path):
    command = [sys.executable, "-c", CLIENT, json.dumps([("one", NAME)])]
    options = {"cwd": ROOT, "env": environment(hub, tmp_path / "home"), "text": True}
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options) for _ in range(2)]
    (one, first), (two, second) = (process.communicate() for process in processes)
    assert one == two and [process.returncode for process in processes] == [0, 0], first + second
    assert (first + second).count("kept in") == 1
    assert kept(tmp_path) == [f"{COMMIT}-{LAYOUT}", f"{COMMIT}-{LAYOUT}.lock"]


def test_download_that_breaks_off_goes_on(hub, client):
    hub.faults = {DISCRIMINATOR: "cut"}
    ((folder,),) = client(("one", NAME))
    assert COMMIT in folder and methods(hub).count("GET") == 4  # weights twice, vocabulary, configuration


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (404, "found HTTP 404 from"),
        (429, "found HTTP 429 from"),
        ("always cut", "found a download that broke off at"),
        ("short", "found a download that broke off at"),
        ("changed", "found content with another checksum than announced at"),
        ("gone", "found no connection to"),
    ],
)
def test_failed_download_is_told_and_nothing_is_kept(fault, message, hub, client, tmp_path):
    if fault == "gone":
        hub.leave()
    else:
        hub.faults = {DISCRIMINATOR: fault}
    (line,) = client(("one", NAME))
    assert line.startswith(f"{NAME}: {message}") and "or give the path of a pretrained directory" in line
    assert kept(tmp_path) == []


def test_pair_of_which_half_cannot_be_fetched_is_an_error(hub, client):
    hub.faults = {GENERATOR: 404}
    (line,) = client(("pair", NAME))
    assert line.startswith(f"{NAME}: found HTTP 404") and f"of {GENERATOR}" in line


def test_repository_with_wrong_content_is_refused_and_not_kept(hub, client, tmp_path):
    hub.files[DISCRIMINATOR]["vocab.txt"] = b"[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n"
    hub.files[GENERATOR]["config.json"] = b'{"model_type": "bert"}'
    lines = client(("one", DISCRIMINATOR), ("one", GENERATOR))
    assert "word embeddings of 400 entries and a vocabulary of 5 lines" in lines[0]
    assert "found a checkpoint of bert" in lines[1]
    assert kept(tmp_path) == [f"{COMMIT}-{LAYOUT}.lock"] * 2


def test_place_to_keep_models_that_cannot_be_written_is_named(client, tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home/electra-paddle").touch()
    (line,) = client(("one", NAME))
    assert "home/electra-paddle" in line and "set HF_HOME" in line


def run_command(hub, tmp_path, *arguments):
    command = [sys.executable, "-m", "electra_paddle", *map(str, arguments)]
    mine = environment(hub, tmp_path / "home") | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=tmp_path, env=mine, capture_output=True, text=True)


def test_table_tells_what_is_on_this_computer(hub, client, tmp_path):
    client(("one", NAME), ("one", GENERATOR))
    shutil.rmtree(tmp_path / f"home/electra-paddle/{GENERATOR.replace('/', '--')}")
    hub.leave()
    result = run_command(hub, tmp_path, "models")
    lines = [line.split("  ") for line in result.stdout.splitlines()]
    rows = [[cell.strip() for cell in line if cell.strip()] for line in lines]
    assert len([row for row in rows if row[1:2] in (["discriminator"], ["generator"])]) == 24
    text = "180 GB of web text"
    assert [NAME, "discriminator", "12", "256", "12,346,625", text, "Apache-2.0", "converted"] in rows
    assert [NAME, "generator", "12", "64", "3,408,200", text, "Apache-2.0", "downloaded"] in rows
    assert result.stdout.count("  no\n") == 20 and result.stdout.count("  shipped\n") == 2


def test_conversion_takes_names(hub, tmp_path):
    result = run_command(hub, tmp_path, "convert_hf", NAME, "pair")
    assert result.returncode == 0, result.stderr
    assert {path.parent.name for path in (tmp_path / "pair").glob("*/model.safetensors")} == set(COMPONENTS)
    result = run_command(hub, tmp_path, "convert_hf", GENERATOR, "one")
    assert result.returncode == 0 and (tmp_path / "one/model.safetensors").exists()
    hub.faults = {repository("chinese-electra-base-generator"): 404}
    result = run_command(hub, tmp_path, "convert_hf", "chinese-electra-base", "half")
    assert result.returncode == 2 and "error: chinese-electra-base: found HTTP 404" in result.stderr
    assert not (tmp_path / "half").exists()
