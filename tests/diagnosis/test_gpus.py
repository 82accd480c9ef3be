"""Checks of GPUs, from facts: no machine of this project has one."""

import pytest

from electra_paddle.cuda_code import CudaCode
from electra_paddle.diagnosis import gpus
from electra_paddle.diagnosis.probe import Build, Card, answer, build_of

CODE = CudaCode((60, 70, 80))
A100 = Card("NVIDIA A100-SXM4-40GB", (8, 0), 42_000_000_000)
H100 = Card("NVIDIA H100", (9, 0), 80_000_000_000)


def build(*cards, **facts):
    return Build(
        **{"cuda": "11.8", "cudnn": "8.6.0", "found_cudnn": 8600, "found_nccl": 21803, "code": CODE, **facts},
        cards=cards,
    )


def test_build_for_cpus_takes_one_line():
    (finding,) = gpus.check_gpus(Build(None, None), [])
    assert (finding.state, finding.found) == ("right", "none is used: this build of Paddle is for CPUs")
    (finding,) = gpus.check_gpus(Build(None, None), ["NVIDIA A10"])
    assert finding.state == "warning" and "NVIDIA A10, unused" in finding.found
    assert gpus.check_gpus(None, []) == []


def test_build_for_gpus_without_a_card_is_a_warning_and_wrong_where_the_driver_has_one():
    assert [each.state for each in gpus.check_gpus(build(), [])] == ["warning"]
    (finding,) = gpus.check_gpus(build(), ["NVIDIA A10"])
    assert finding.state == "wrong" and "CUDA_VISIBLE_DEVICES" in finding.mend


def test_card_that_the_build_has_code_for_is_right():
    card, built, cudnn, nccl = gpus.check_gpus(build(A100), [])
    assert {each.state for each in (card, built, cudnn, nccl)} == {"right"}
    assert card.found == (
        "NVIDIA A100-SXM4-40GB, 42.0 GB, compute capability 8.0; this build has code for it (6.0, 7.0, 8.0)"
    )
    assert (built.found, cudnn.found, nccl.found) == ("built with CUDA 11.8, cuDNN 8.6.0", "8.6.0", "2.18.3")


def test_card_that_the_build_has_no_code_for_is_wrong_and_one_of_an_unknown_build_a_warning():
    first, second, *_ = gpus.check_gpus(build(A100, H100), [])
    assert (first.state, second.state) == ("right", "wrong")
    assert second.topic == "GPU 1" and "9.0; this build of Paddle has code only for 6.0, 7.0, 8.0" in second.found
    assert "docs/gpu.md" in second.mend
    assert gpus.check_gpus(build(H100, code=None), [])[0].state == "warning"


@pytest.mark.parametrize(
    ("cudnn", "found", "state"),
    [("8.6.0", 8907, "right"), ("8.6.0", None, "wrong"), ("8.6.0", 90100, "wrong"), ("9.5.1", 90501, "right")],
)
def test_cudnn_is_of_the_version_that_paddle_was_built_with(cudnn, found, state):
    assert gpus.check_cudnn(build(A100, cudnn=cudnn, found_cudnn=found)).state == state
    assert gpus.check_cudnn(build(A100, found_cudnn=8907)).found == "8.9.7"
    assert gpus.check_cudnn(build(A100, found_cudnn=90100)).found.startswith("9.1.0, where Paddle was built with 8.6.0")


def test_missing_nccl_is_wrong_where_there_are_several_cards():
    assert gpus.check_nccl(build(A100, found_nccl=None)).state == "right"
    assert gpus.check_nccl(build(A100, A100, found_nccl=None)).state == "wrong"


def test_cards_of_the_driver_are_those_that_its_files_name(tmp_path):
    assert gpus.cards_of_driver(tmp_path) == []
    folder = tmp_path / "proc/driver/nvidia/gpus/0000:3b:00.0"
    folder.mkdir(parents=True)
    (folder / "information").write_text("Model: \t\t NVIDIA A10\nIRQ:   \t\t 55\n")
    assert gpus.cards_of_driver(tmp_path) == ["NVIDIA A10"]


def test_facts_of_a_build_survive_the_way_from_its_process():
    import json

    whole = build(A100, H100)
    assert build_of(json.loads(json.dumps(whole._asdict()))) == whole


def test_missing_library_is_no_version_in_whatever_way_paddle_says_so():
    def refuse():
        raise RuntimeError("(PreconditionNotMet) The third-party dynamic library is not configured correctly.")

    assert [answer(ask) for ask in (lambda: None, lambda: -1, refuse, lambda: 8600)] == [None, None, None, 8600]
