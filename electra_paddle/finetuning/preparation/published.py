"""What is known of the published data sets: names of their files, numbers of examples, checksums.

Sizes beside those of configs/task/ and MD5 sums are facts of their publishers: OWNERS are the data's own pages and
papers, PaddleNLP's are those that its `paddlenlp.datasets` download, Hugging Face's those that `datasets` listed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

LABELS = "labels"  # beside the splits: a file with one label a line


class Published(NamedTuple):
    """One task's files.

    Attributes:
        names: split -> how its file is called, best first; a name may begin with the folder that it lies in.
        sizes: split -> number of examples -> whose data has so many; those of the task's description come first.
        md5: split -> MD5 sum of its file -> whose it is.
        advice: name of a file that is not read -> what to do with it.
    """

    names: Mapping[str, Sequence[str]]
    sizes: Mapping[str, Mapping[int, str]] = {}
    md5: Mapping[str, Mapping[str, str]] = {}
    advice: Mapping[str, str] = {}


CAIL = Published(
    names={
        "train": ("exercise_contest/data_train.json", "data_train.json", "train.json"),
        "dev": ("exercise_contest/data_valid.json", "data_valid.json", "dev.json"),
        "test": ("exercise_contest/data_test.json", "data_test.json", "test.json"),
        LABELS: ("accu.txt",),
    },
    sizes={
        "train": {154_592: "exercise_contest, CAIL2018-Small", 1_710_856: "first_stage"},
        "dev": {17_131: "exercise_contest, CAIL2018-Small"},
        "test": {32_508: "exercise_contest, CAIL2018-Small", 217_016: "first_stage", 35_922: "final_test.json"},
        LABELS: {202: "thunlp/CAIL"},
    },
    md5={
        "train": {"e11fc099cc7709a8d128e9fe9f029621": "PaddleNLP's cail2018_small"},
        "dev": {"ee13108aee6a08a94490fadeb400debb": "PaddleNLP's cail2018_small"},
        "test": {"27cea977fff2f85b5c32a8e0f708b093": "PaddleNLP's cail2018_small"},
    },
)

PUBLISHED = {
    "cmrc2018": Published(
        names={
            "train": ("cmrc2018_train.json", "train.json"),
            "dev": ("cmrc2018_dev.json", "dev.json"),
            "test": ("cmrc2018_test.json", "test.json"),
            "challenge": ("cmrc2018_challenge.json", "challenge.json"),
        },
        sizes={
            "test": {4_895: "the hidden test data", 1_002: "the trial data, cmrc2018_trial.json"},
            "challenge": {504: "the paper"},
        },
        md5={
            "train": {"7fb714b479c7f40fbb16acabd7af0ede": "PaddleNLP's cmrc2018_train.json"},
            "dev": {"853b80709ff2d071f9fce196521b843c": "the owners' and PaddleNLP's cmrc2018_dev.json"},
            "test": {"070f8ade5b15cfdb095c1fcef9cf43c1": "the owners' cmrc2018_trial.json"},
        },
        advice={"cmrc2018_trial.json": "it is no test data; to use it in its place all the same: test=FILE"},
    ),
    "drcd": Published(
        names={
            "train": ("DRCD_training.json", "train.json"),
            "dev": ("DRCD_dev.json", "dev.json"),
            "test": ("DRCD_test.json", "test.json"),
        },
        md5={
            "train": {"bbeefc8ad7585ea3e4fef8c677e7643e": "PaddleNLP's DRCD_training.json"},
            "dev": {"42c2f2bca84fc36cf65a86563b0540e6": "the owners' and PaddleNLP's DRCD_dev.json"},
            "test": {"e36a295c1cb8c6b9fb28015907a42d9e": "the owners' and PaddleNLP's DRCD_test.json"},
        },
    ),
    "xnli": Published(
        names={
            "train": ("multinli.train.zh.tsv",),
            "dev": ("xnli.dev.tsv",),
            "test": ("xnli.test.tsv",),
        },
        md5={
            "dev": {"4c23601abba3e3e222e19d1c6851649e": "that in XNLI-1.0.zip, as PaddleNLP lists it"},
            "test": {"fbc26e90f7e892e24dde978a2bd8ece6": "that in XNLI-1.0.zip, as PaddleNLP lists it"},
        },
    ),
    "chnsenticorp": Published(
        names={"train": ("train.tsv",), "dev": ("dev.tsv",), "test": ("test.tsv",)},
        md5={
            "train": {"689360c4a4a9ce8d8719ed500ae80907": "pengming617/bert_classification's and PaddleNLP's"},
            "dev": {
                "05e4b02561c2a327833e05bbe8156cec": "pengming617/bert_classification's",
                "20c77cc2371634731a367996b097ec0a": "PaddleNLP's",
            },
            "test": {
                "917dfc6fbce596bb01a91abaa6c86f9e": "pengming617/bert_classification's",
                "9b4dc7d1e4ada48c645b7e938592f49c": "PaddleNLP's",
            },
        },
    ),
    "lcqmc": Published(
        names={
            split: (f"LCQMC_{split}.json", f"LCQMC_{split}.txt", f"{split}.txt", f"{split}.tsv")
            for split in ("train", "dev", "test")
        },
        md5={
            "train": {
                "479d94fe575981f236319f2a5b8b3c03": "PaddleNLP's lcqmc.zip",
                "2193c022439b038ac12c0ae918b211a1": "PaddleNLP's lcqmc_v2.tar.gz",
            },
            "dev": {
                "089329fb44ef26155baef9c9c8c823ba": "PaddleNLP's lcqmc.zip",
                "c5dcba253cb4105d914964fd8b3c0e94": "PaddleNLP's lcqmc_v2.tar.gz",
            },
            "test": {
                "a4a483f2f871d57e0f3894fca0d0f8f0": "PaddleNLP's lcqmc.zip",
                "8f4b71e15e67696cc9e112a459ec42bd": "PaddleNLP's lcqmc_v2.tar.gz",
            },
        },
    ),
    "bqcorpus": Published(
        names={
            split: (f"BQ_{split}.json", f"BQ_{split}.txt", f"{split}.txt", f"{split}.tsv")
            for split in ("train", "dev", "test")
        },
        md5={
            "train": {"d37683e9ee778ee2f4326033b654adb9": "PaddleNLP's bq_corpus.zip"},
            "dev": {"8a71f2a69453646921e9ee1aa457d1e4": "PaddleNLP's bq_corpus.zip"},
            "test": {"c797995baa248b144ceaa4018b191e52": "PaddleNLP's bq_corpus.zip"},
        },
    ),
    "cail2018": CAIL,
    "cail2018_multi": CAIL,
    "msra_ner": Published(
        names={
            "train": ("msra_train_bio.txt", "train.txt", "train.tsv"),
            "dev": ("dev.txt", "dev.tsv"),
            "test": ("msra_test_bio.txt", "test.txt", "test.tsv"),
        },
        sizes={
            "train": {
                45_000: "OYE93/Chinese-NLP-Corpus, PaddleNLP, Hugging Face",
                46_364: "the bakeoff of SIGHAN 2006",
                50_658: "a copy whose sentences are cut elsewhere",
            },
            "test": {
                3_442: "OYE93/Chinese-NLP-Corpus, PaddleNLP, Hugging Face",
                4_365: "the bakeoff of SIGHAN 2006",
                4_631: "a copy whose sentences are cut elsewhere",
            },
        },
        md5={
            "train": {"e5b4b734ef91861384f441456ad995dd": "PaddleNLP's msra_ner.tar.gz"},
            "test": {"40b26ae09b63af78ea3a91ac8b8ae303": "PaddleNLP's msra_ner.tar.gz"},
        },
    ),
    "peoples_daily": Published(
        names={
            split: (f"example.{split}", f"{split}.txt", f"{split}.tsv", f"{split}_data")
            for split in ("train", "dev", "test")
        },
        md5={
            "train": {"67d3c93a37daba60ef43c03271f119d7": "PaddleNLP's peoples_daily_ner.tar.gz"},
            "dev": {"ec772f3ba914bca5269f6e785bb3375d": "PaddleNLP's peoples_daily_ner.tar.gz"},
            "test": {"2f27ae68b5f61d6553ffa28bb577c8a7": "PaddleNLP's peoples_daily_ner.tar.gz"},
        },
    ),
}
