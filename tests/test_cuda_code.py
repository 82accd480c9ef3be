import struct

import pytest

from electra_paddle import runtime
from electra_paddle.cuda_code import MACHINE_CODE, PTX, CudaCode, read_library
from electra_paddle.errors import ConfigError


@pytest.mark.parametrize(
    ("capability", "runs"),
    [((5, 2), False), ((6, 1), True), ((7, 0), True), ((7, 5), True), ((8, 6), True), ((8, 9), True), ((9, 0), False)],
)
def test_machine_code_runs_on_cards_of_its_major_number_and_no_earlier_minor_one(capability, runs):
    assert CudaCode((60, 70, 80)).runs_on(capability) == runs


def test_code_for_a_later_minor_number_does_not_run_on_an_earlier_one():
    assert not CudaCode((86,)).runs_on((8, 0))


def test_ptx_runs_on_later_cards_of_any_number():
    assert CudaCode((60,), (80,)).runs_on((12, 0)) and not CudaCode((60,), (80,)).runs_on((7, 5))


def test_card_without_code_is_refused_in_one_sentence():
    with pytest.raises(ConfigError) as caught:
        runtime.check_card("gpu:0 (NVIDIA H100)", (9, 0), CudaCode((60, 70, 80)))
    assert str(caught.value) == (
        "gpu:0 (NVIDIA H100): found compute capability 9.0, for which this build of Paddle has no code, "
        "expected one of 6.0, 7.0, 8.0; install a build of Paddle for this card, see docs/gpu.md, "
        "or compute on the CPU with CUDA_VISIBLE_DEVICES=''"
    )


def test_card_with_code_and_card_of_an_unknown_build_pass():
    runtime.check_card("gpu:0", (8, 6), CudaCode((60, 70, 80)))
    runtime.check_card("gpu:0", (9, 0), None)
    runtime.check_device("cpu")


def test_training_refuses_the_card_when_it_starts(monkeypatch):
    import paddle

    monkeypatch.setattr(paddle.device, "get_device", lambda: "gpu:1")
    monkeypatch.setattr(paddle.device.cuda, "get_device_name", {1: "NVIDIA H100"}.get)
    monkeypatch.setattr(paddle.device.cuda, "get_device_capability", {1: (9, 0)}.get)
    monkeypatch.setattr(runtime, "cuda_code", lambda: CudaCode((60, 70, 80)))
    with pytest.raises(ConfigError, match=r"gpu:1 \(NVIDIA H100\): found compute capability 9.0"):
        runtime.start()
    monkeypatch.setattr(runtime, "cuda_code", lambda: CudaCode((90,)))
    assert runtime.start() is paddle


def container(*codes):
    """A container of (kind, architecture) codes, 24 bytes each."""
    entries = b"".join(
        struct.pack("<HHIQIIHHI", kind, 0, 64, 24, 0, 0, 0, 0, architecture).ljust(64 + 24, b"\0")
        for kind, architecture in codes
    )
    return struct.pack("<IHHQ", 0xBA55ED50, 1, 16, len(entries)) + entries


def library(path, *containers):
    """An ELF file with a section of names and, where there are containers, one of code; gaps between these."""
    names = b"\0.shstrtab\0.nv_fatbin\0"
    code = b"".join(each + bytes(8) for each in containers)
    at = 64 + len(names)
    sections = [(0, 0, 0, 0, 0, 0), (1, 3, 0, 0, 64, len(names)), *([(11, 1, 0, 0, at, len(code))] if code else [])]
    header = bytearray(64)
    header[:5] = b"\x7fELF\x02"
    struct.pack_into("<Q", header, 0x28, at + len(code))
    struct.pack_into("<HHH", header, 0x3A, 64, len(sections), 1)
    table = b"".join(struct.pack("<IIQQQQ", *section).ljust(64, b"\0") for section in sections)
    path.write_bytes(bytes(header) + names + code + table)
    return path


def test_architectures_are_read_from_a_library_without_those_of_few_of_its_parts(tmp_path):
    own = [(MACHINE_CODE, 70), (MACHINE_CODE, 80), (PTX, 80)]
    path = library(tmp_path / "lib.so", container(*own), container(*own, (MACHINE_CODE, 90)), container(*own))
    assert read_library(path) == CudaCode((70, 80), (80,))


def test_library_without_code_and_other_files_have_none(tmp_path):
    assert read_library(library(tmp_path / "lib.so")) is None
    (tmp_path / "text").write_text("text")
    (tmp_path / "empty").touch()
    (tmp_path / "cut").write_bytes(library(tmp_path / "lib.so", container((MACHINE_CODE, 70))).read_bytes()[:-70])
    assert [read_library(tmp_path / name) for name in ("text", "empty", "cut", "none")] == [None] * 4


def test_this_build_s_code_is_found_or_it_has_none():
    import paddle

    assert (runtime.cuda_code() is not None) == paddle.device.is_compiled_with_cuda()
