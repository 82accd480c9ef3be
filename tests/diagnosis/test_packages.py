import pytest

from electra_paddle.diagnosis import packages, probe

REQUIREMENTS = [
    "numpy<2,>=1.26",
    "tqdm",
    "protobuf<=3.20.3,>=3.20.2",
    'onnx<1.18,>=1.16.1; extra == "onnx"',
    'pytest<9,>=8; extra == "dev"',
    'paddlepaddle<3.4,>=2.6.2; extra == "cpu"',
]
INSTALLED = {"numpy": "1.26.4", "tqdm": "4.66", "protobuf": "3.20.3", "paddlepaddle": "3.3.1", "pytest": "7.0"}


def states(findings):
    return {finding.topic: finding.state for finding in findings}


def test_versions_within_bounds_are_right_and_extras_that_are_not_installed_do_not_count():
    findings = packages.check_versions(REQUIREMENTS, INSTALLED)
    assert states(findings) == {"paddlepaddle": "right", "numpy": "right", "other packages": "right"}
    assert findings[-1].found == "2 more are within their bounds"


def test_version_out_of_bounds_names_the_command_that_mends_it():
    findings = packages.check_versions(REQUIREMENTS, {**INSTALLED, "protobuf": "4.25.1", "onnx": "1.19.0"})
    wrong = {finding.topic: finding for finding in findings if finding.state == "wrong"}
    assert wrong.keys() == {"protobuf", "onnx"}
    assert wrong["protobuf"].found == "4.25.1, not within <=3.20.3,>=3.20.2"
    assert wrong["protobuf"].mend == 'pip install "protobuf<=3.20.3,>=3.20.2"'


def test_missing_package_is_wrong():
    findings = packages.check_versions(REQUIREMENTS, {**INSTALLED, "numpy": None})
    assert str(findings[-2]) == 'wrong   numpy            not installed; pip install "numpy<2,>=1.26"'


def test_package_that_pip_does_not_know_has_no_bounds():
    (finding,) = packages.check_versions([], {})
    assert finding.state == "warning" and "not known" in finding.found
    assert packages.check_python(None)[0].state == "warning"


@pytest.mark.parametrize(("version", "state"), [("3.9.18", "wrong"), ("3.10.0", "right"), ("3.13.0", "wrong")])
def test_python_is_one_that_setup_takes(version, state):
    assert packages.check_python(">=3.10,<3.13", version)[0].state == state


def test_one_paddle_is_right_none_and_two_are_wrong():
    assert packages.check_paddle({"paddlepaddle": "3.3.1", "paddlepaddle-gpu": None}) == []
    assert packages.check_paddle({})[0].mend == "pip install 'electra-paddle[cpu]'"
    (both,) = packages.check_paddle({"paddlepaddle": "2.6.2", "paddlepaddle-gpu": "2.6.2"})
    assert both.found == "paddlepaddle 2.6.2 and paddlepaddle-gpu 2.6.2, which overwrite each other"
    assert both.mend.startswith("pip uninstall -y paddlepaddle paddlepaddle-gpu && pip install")


def test_import_that_fails_is_wrong_and_its_mend_names_the_lock_of_the_stack():
    errors = {"paddle": None, "paddlehub": "TypeError: descriptors cannot be created", "gradio": "ModuleNotFoundError"}
    installed = {"paddlepaddle": "2.6.2", "paddlehub": "2.4.0", "gradio": None}
    findings = packages.check_imports(errors, installed)
    assert states(findings) == {"import paddlehub": "wrong", "imports": "right"}  # gradio has the line of its version
    assert "-c requirements/paddle26.txt '.[cpu]'" in findings[0].mend


def test_library_that_ends_its_process_does_not_take_the_others_with_it(tmp_path, monkeypatch):
    (tmp_path / "crashes.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)")
    (tmp_path / "leaves.py").write_text("raise SystemExit(3)")
    (tmp_path / "raises.py").write_text("raise TypeError('Descriptors cannot be created.\\nmore')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    errors, build = probe.probe(["json", "crashes", "raises", "leaves", "csv"])
    assert build is None
    assert errors == {
        "json": None,
        "crashes": "the process was ended by SIGSEGV",
        "raises": "TypeError: descriptors cannot be created.",
        "leaves": "the process ended with status 3",
        "csv": None,
    }
