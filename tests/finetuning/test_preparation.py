"""Published files become what fine-tuning reads; whatever is not the published data is refused in one line."""

import io
import json
import re
import tarfile
import zipfile

import pytest
from conftest import ROOT

from electra_paddle.cli import main
from electra_paddle.config import FinetuningConfig
from electra_paddle.errors import ConfigError, DataError
from electra_paddle.finetuning.data_check import check_data
from electra_paddle.finetuning.description import built_in_tasks, load_description
from electra_paddle.finetuning.preparation import prepare_task
from electra_paddle.finetuning.preparation.published import LABELS, PUBLISHED

PAIRS = "今天天气好吗\t今天天气如何\t1\n怎么还款\t怎么借款\t0\n"
CASES = [["盗窃"], ["[盗窃、侮辱]尸体"], ["盗窃", "抢劫"]]


def read_back(task, folder):
    config = FinetuningConfig(data_dir=folder, max_seq_length=128, on_error="skip")
    return check_data(load_description(task), config)


def pack(path, files):
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, text in files.items():
                archive.writestr(name, text)
        return path
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            header = tarfile.TarInfo(name)
            header.size = len(text.encode())
            archive.addfile(header, io.BytesIO(text.encode()))
    return path


def test_every_task_but_those_without_published_data_can_be_prepared():
    assert {*PUBLISHED} == {*built_in_tasks()}
    for task, published in PUBLISHED.items():
        sizes = load_description(task).published_sizes
        known = {*published.names, *sizes}
        assert {*published.sizes} | {*published.md5} <= known
        assert all(len(digest) == 32 for sums in published.md5.values() for digest in sums)


@pytest.mark.parametrize("ending", [".zip", ".tar.gz"])
def test_archive_is_read_without_a_name_of_it_leading_anywhere(tmp_path, ending):
    files = {"../../LCQMC/train.txt": PAIRS, "/etc/LCQMC/dev.txt": PAIRS, "__MACOSX/._test.txt": "x", "readme.md": "x"}
    archive = pack(tmp_path / f"lcqmc{ending}", files)
    prepared, lines = prepare_task("lcqmc", [archive], tmp_path / "out", any_size=True)
    assert [(item.split, item.examples) for item in prepared] == [("train", 2), ("dev", 2)]
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()} == {
        f"lcqmc{ending}",
        "out/finetuning_data/lcqmc/train.tsv",
        "out/finetuning_data/lcqmc/dev.tsv",
    }
    assert (tmp_path / "out/finetuning_data/lcqmc/train.tsv").read_text(encoding="utf-8") == PAIRS
    assert lines[0] == "train: 2 examples; labels: 0 1, 1 1"
    assert lines[-2:] == [f"not read: {archive}:readme.md", "not given: test"]


def test_links_of_a_tar_are_no_files(tmp_path):
    with tarfile.open(tmp_path / "lcqmc.tar", "w") as archive:
        link = tarfile.TarInfo("train.tsv")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    with pytest.raises(DataError, match=r"^FILES: found no file, expected LCQMC_train\.json"):
        prepare_task("lcqmc", [tmp_path / "lcqmc.tar"], tmp_path / "out")


def test_json_lines_of_pairs_become_a_table(tmp_path):
    row = {"ID": "1", "gold_label": "1", "sentence1": "怎么还款 ", "sentence2": "如何还款"}
    (tmp_path / "BQ_train.json").write_text(json.dumps(row) + "\n", encoding="utf-8")
    prepare_task("bqcorpus", [tmp_path], tmp_path / "out", any_size=True)
    table = tmp_path / "out/finetuning_data/bqcorpus/train.tsv"
    assert table.read_text(encoding="utf-8") == "sentence1\tsentence2\tlabel\n怎么还款\t如何还款\t1\n"
    assert read_back("bqcorpus", tmp_path / "out")["train"]["labels"] == {"0": 0, "1": 1}


def test_joined_sentences_become_a_token_a_line(tmp_path):
    text = (
        "text_a\tlabel\n\x02".replace("\n\x02", "\n")
        + "\x02".join("在北京")
        + "\t"
        + "\x02".join(["O", "B-LOC", "I-LOC"])
    )
    archive = pack(tmp_path / "peoples_daily_ner.tar.gz", {"peoples_daily_ner/train.tsv": text + "\n"})
    prepared, _ = prepare_task("peoples_daily", [archive], tmp_path / "out", any_size=True)
    expected = "在\tO\n北\tB-LOC\n京\tI-LOC\n\n"
    assert prepared[0].path.read_text(encoding="utf-8") == expected
    assert prepared[0].examples == 1


@pytest.mark.parametrize(("task", "kept"), [("cail2018", 2), ("cail2018_multi", 3)])
def test_cases_of_several_charges_are_left_out_with_a_word_where_the_task_has_one(tmp_path, task, kept):
    lines = [
        json.dumps({"fact": f"被告人{number}", "meta": {"accusation": names}}) for number, names in enumerate(CASES)
    ]
    text = "\n".join(lines) + "\n"
    files = {
        "final_all_data/exercise_contest/data_train.json": text,
        "final_all_data/first_stage/train.json": "another\n",
    }
    (tmp_path / "accu.txt").write_text("盗窃\n盗窃、侮辱尸体\n抢劫\n", encoding="utf-8")
    archive = pack(tmp_path / "CAIL2018_ALL_DATA.zip", files)
    prepared, _ = prepare_task(task, [archive, tmp_path / "accu.txt"], tmp_path / "out", any_size=True)
    assert [(item.split, item.examples) for item in prepared] == [("train", 3), (LABELS, 3)]
    assert ("1 cases of several charges, or of none, left out" in prepared[0].remarks) == (kept == 2)
    report = read_back(task, tmp_path / "out")["train"]
    assert (report["examples"], report["unusable"]) == (kept, [])
    assert report["labels"]["盗窃、侮辱尸体"] == 1  # CAIL's files write brackets, its list of charges does not


def squad(*questions):
    qas = [
        {"id": str(n), "question": text, "answers": [{"text": "北京", "answer_start": 0}]}
        for n, text in enumerate(questions)
    ]
    return json.dumps(
        {"version": "1", "data": [{"title": "", "paragraphs": [{"context": "北京是首都。", "qas": qas}]}]}
    )


def test_files_are_copied_byte_for_byte_where_they_are_in_the_layout(tmp_path):
    text = squad("首都是哪里？", "哪里是首都？")
    (tmp_path / "DRCD_dev.json").write_text(text, encoding="utf-8")
    prepared, _ = prepare_task("drcd", [tmp_path], tmp_path / "out", any_size=True)
    assert prepared[0].path.read_text(encoding="utf-8") == text
    assert prepared[0].remarks[0] == "another number than published, 3,524"
    assert prepared[0].remarks[1].endswith("none of the known ones")


def test_splits_may_come_one_after_another_and_nothing_is_overwritten(tmp_path):
    (tmp_path / "train.txt").write_text(PAIRS, encoding="utf-8")
    for split in ("train", "dev"):
        prepare_task("lcqmc", [f"{split}={tmp_path / 'train.txt'}"], tmp_path / "out", any_size=True)
    with pytest.raises(ConfigError, match=r"dev\.tsv: found a file that exists, expected none"):
        prepare_task("lcqmc", [f"dev={tmp_path / 'train.txt'}"], tmp_path / "out", any_size=True)
    names = [path.name for path in (tmp_path / "out/finetuning_data").iterdir()]
    assert names == ["lcqmc"]


BAD = {
    "too few": (
        "lcqmc",
        {"train.txt": PAIRS},
        r"train\.txt: found 2 examples, expected 238,766, as published; fetch it",
    ),
    "a bad row": (
        "lcqmc",
        {"dev.txt": f"{PAIRS}甲\t乙\t7\n"},
        r"dev\.txt: found 1 rows that cannot be used, \S*dev\.txt:3",
    ),
    "other names": ("lcqmc", {"a.txt": "x"}, r"FILES: found a\.txt, expected LCQMC_train\.json.*say which is which"),
    "the other layout": ("cmrc2018", {"cmrc2018_dev.json": '[{"context_text": "x"}]'}, "squad-style-data/"),
    "trial data": ("cmrc2018", {"cmrc2018_trial.json": squad("?")}, "it is no test data"),
    "no case": (
        "cail2018",
        {"data_train.json": '{"text": "x"}'},
        r"data_train\.json:1: found text, expected an object",
    ),
    "no JSON": ("bqcorpus", {"BQ_dev.json": "{x"}, r"BQ_dev\.json:1: found no valid JSON"),
    "tags lack": ("msra_ner", {"train.tsv": "在\x02北\tO\n"}, r"train\.tsv:1: found 2 tokens and 1 tags"),
    "twice": ("lcqmc", {"a/dev.txt": PAIRS, "b/dev.txt": PAIRS}, r"found 2 files for dev: .*say which: dev=FILE"),
    "labels not known": (
        "cail2018",
        {"data_valid.json": '{"fact": "甲", "meta": {"accusation": ["盗窃"]}}'},
        "labels are read",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_wrong_files_end_in_one_line_and_nothing_is_written(tmp_path, case):
    task, files, message = BAD[case]
    for name, text in files.items():
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message) as caught:
        prepare_task(task, [tmp_path / "in"], tmp_path / "out")
    assert "electra-partial" not in str(caught.value)
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


def test_damaged_archive_is_one_line_on_the_command_line(tmp_path, capsys):
    archive = pack(tmp_path / "lcqmc.zip", {"train.txt": PAIRS * 100})
    data = bytearray(archive.read_bytes())
    data[60] ^= 1
    archive.write_bytes(data)
    arguments = ["prepare-task", "lcqmc", str(archive), "--output-dir", str(tmp_path / "out")]
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {archive}: found a damaged or locked archive (") and error.count("\n") == 1


def test_command_says_what_was_found_and_what_to_do_next(tmp_path, capsys):
    (tmp_path / "train.txt").write_text(PAIRS, encoding="utf-8")
    arguments = ["prepare-task", "lcqmc", str(tmp_path), "--output-dir", str(tmp_path / "out"), "--any-size"]
    assert main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{tmp_path}/train.txt -> {tmp_path}/out/finetuning_data/lcqmc/train.tsv: 2 examples"
    assert lines[1] == "  another number than published, 238,766"
    assert lines[-1].endswith(f"--task-names lcqmc --data-dir {tmp_path}/out --model-name chinese-electra-nano")


def table_rows(page):
    lines = (ROOT / "docs" / page).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.startswith("| ") and not line.startswith("| `NAME`")]


def test_both_pages_name_the_same_files_numbers_and_addresses():
    english, chinese = table_rows("datasets.md"), table_rows("datasets.zh.md")
    assert len(english) == len(chinese) > 18
    for one, other in zip(english, chinese, strict=True):
        for pattern in (r"`[^`]+`", r"https?://[^)`\s]+", r"\d(?:[\d,.]*\d)"):
            assert sorted(re.findall(pattern, one)) == sorted(re.findall(pattern, other)), one


@pytest.mark.parametrize("task", PUBLISHED)
def test_page_names_the_files_and_sizes_that_are_known(task):
    (row,) = (row for row in table_rows("datasets.md") if f"`{task}`" in row.split("|")[1])
    assert f"`{PUBLISHED[task].names['train'][0].rpartition('/')[2]}`" in row
    sizes = load_description(task).published_sizes or {"train": min(PUBLISHED[task].sizes["train"])}
    for size in sizes.values():
        assert f"{size:,}" in row
