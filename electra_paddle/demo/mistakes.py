"""Wrong characters found and corrected, and a mask filled, by the networks as they were pre-trained."""

from __future__ import annotations

from typing import Any, NamedTuple

from electra_paddle.published_models import NANO

THRESHOLD, MIN_SCORE = 0.2, 0.4  # of suspicion, and of a correction: a small network is rarely sure
MASKED = "哈尔滨是[MASK]龙江省的省会。"
SENTENCES = (  # with one wrong character each, and as they should be
    ("窗外的雪下得越来越大，路上几呼没有行人。", "窗外的雪下得越来越大，路上几乎没有行人。"),
    ("他每天早上六点起床，坐地铁去工司上班。", "他每天早上六点起床，坐地铁去公司上班。"),
    ("这本书的内容很丰富，值得大家认真阅渎。", "这本书的内容很丰富，值得大家认真阅读。"),
    ("我们要尊重每一个人的选泽。", "我们要尊重每一个人的选择。"),
    ("学生们正在教室里认真地听老师讲棵。", "学生们正在教室里认真地听老师讲课。"),
)


class Sentence(NamedTuple):
    """A sentence with a mistake, and what the networks make of it."""

    text: str
    right: str
    suspicion: list[float]  # of each character
    corrected: str
    edits: list[dict[str, Any]]  # as "text-correction" gives them

    @property
    def wrong(self) -> int:
        """Where the mistake is."""
        return next(place for place, (one, other) in enumerate(zip(self.text, self.right, strict=True)) if one != other)

    @property
    def is_found(self) -> bool:
        """Whether no other character is more suspicious."""
        return max(self.suspicion) == self.suspicion[self.wrong]

    @property
    def is_corrected(self) -> bool:
        return self.corrected == self.right


def correct_sentences() -> list[Sentence]:
    """What the discriminator suspects in SENTENCES, and the generator puts in its place."""
    from electra_paddle.hub.loading import load_module

    texts = [[text] for text, _ in SENTENCES]
    suspicions = load_module(NANO.name, "replaced-token-detection").predict(texts)
    corrections = load_module(NANO.name, "text-correction").predict(texts, threshold=THRESHOLD, min_score=MIN_SCORE)
    return [
        Sentence(text, right, suspicion, correction["corrected"], correction["edits"])
        for (text, right), suspicion, correction in zip(SENTENCES, suspicions, corrections, strict=True)
    ]


def fill_mask() -> list[dict[str, Any]]:
    """The five best tokens for the mask of MASKED, each {"token", "score"}, the best first."""
    from electra_paddle.hub.loading import load_module

    best: list[dict[str, Any]] = load_module(NANO.name, "fill-mask").predict(MASKED, top_k=5)[0][0]
    return best
