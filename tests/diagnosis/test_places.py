import shutil
from collections import namedtuple

import pytest

from electra_paddle.diagnosis import places

NO_CONNECTION = ("no connection to https://hub.example (ConnectTimeout)", "set HF_ENDPOINT to a mirror")


@pytest.mark.parametrize(
    ("is_offline", "problem", "num_cached", "state", "words"),
    [
        (False, None, 0, "right", "https://hub.example answers; no published networks on this computer"),
        (True, None, 0, "right", "not asked, as HF_HUB_OFFLINE says; no published networks on this computer"),
        (False, NO_CONNECTION, 1, "warning", "1 published network on this computer beside the one that is shipped"),
        (False, NO_CONNECTION, 0, "warning", "no published networks on this computer beside the one that is shipped"),
    ],
)
def test_no_network_is_a_warning_as_a_model_is_shipped_unless_the_user_means_it(
    is_offline, problem, num_cached, state, words
):
    (finding,) = places.check_hub("https://hub.example", is_offline, problem, num_cached)
    assert finding.state == state and words in str(finding)


def test_second_source_needs_its_client():
    assert places.check_second_source(None, False) == []
    assert places.check_second_source("someone", True)[0].state == "right"
    (finding,) = places.check_second_source("someone", False)
    assert (finding.state, finding.mend) == ("wrong", "pip install 'electra-paddle[modelscope]'")


def test_folder_that_can_be_written_or_made_is_right_and_stays_as_it_is(tmp_path):
    assert "can be written" in places.check_folder("HF_HOME", tmp_path)[0].found
    assert "can be made" in places.check_folder("HF_HOME", tmp_path / "a/b")[0].found
    assert list(tmp_path.iterdir()) == []


def test_folder_that_cannot_be_written_is_wrong(tmp_path):
    (tmp_path / "file").write_text("a")
    for folder in (tmp_path / "file", tmp_path / "file/home"):
        (finding,) = places.check_folder("HF_HOME", folder)
        assert (finding.state, finding.mend) == ("wrong", "set HF_HOME to a folder with room that can be written")
        assert finding.found == f"{folder}: cannot be written (not a directory)"


@pytest.mark.parametrize(("free", "state"), [(10e9, "right"), (1e9, "warning"), (0.1e9, "wrong")])
def test_little_room_is_told(tmp_path, monkeypatch, free, state):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(100e9, 100e9 - free, free))
    (finding,) = places.check_folder("HF_HOME", tmp_path)
    assert finding.state == state and f"{free / 1e9:.1f} GB free" in finding.found
