from pathlib import Path

from electra_paddle.config import PretrainingConfig, load_config
from electra_paddle.config.recipes import find_recipe


def test_recipes_are_found_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_config(PretrainingConfig, "configs/model/small.yaml").model_size == "small"
    assert find_recipe("configs/model/none.yaml") == Path("configs/model/none.yaml")


def test_own_file_of_that_name_wins(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs" / "model").mkdir(parents=True)
    (tmp_path / "configs" / "model" / "small.yaml").write_text("model_size: large\n")
    assert load_config(PretrainingConfig, "configs/model/small.yaml").model_size == "large"
