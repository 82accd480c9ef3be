"""Settings of building shards; all of them are recorded in the manifest."""

import codecs
import dataclasses
from pathlib import Path

from electra_paddle.config.entry import entry
from electra_paddle.errors import ConfigError

SEGMENT_RULES = ("google", "hfl", "lossless")


@dataclasses.dataclass(frozen=True)
class ShardSettings:
    """Settings that determine the bytes of the shards, besides the corpus and the vocabulary."""

    max_seq_length: int = entry(128, "tokens of an example, special tokens included")
    segment_rule: str = entry("google", "how sentences are dealt out to two segments: google, hfl or lossless")
    short_sequence_prob: float = entry(0.05, "share of the examples that get a random shorter length")
    single_segment_prob: float = entry(0.1, "share of the examples that are to have one segment")
    split_sentences: bool = entry(False, "cut paragraphs into sentences")
    blanks_separate_docs: bool = entry(True, "a blank line ends a document")
    text_field: str = entry("text", "key of the text in JSON; dots lead into objects")
    encoding: str = entry("utf-8", "of the text, as Python names it")
    do_lower_case: bool = entry(True, "lower-case the text")
    strip_accents: bool | None = entry(None, "strip accents; as do_lower_case unless given")
    word_starts: bool = entry(False, "store where words begin, for whole-word masking")
    user_dict: Path | None = entry(None, "jieba dictionary of words of one's own")
    on_error: str = entry("stop", "what a damaged line or file does: stop, or skip it and count it")
    seed: int = entry(0, "of the packing")

    def __post_init__(self) -> None:
        if self.strip_accents is None:
            object.__setattr__(self, "strip_accents", self.do_lower_case)
        if self.max_seq_length < 5:
            raise ConfigError("max_seq_length", self.max_seq_length, "at least 5")
        if self.segment_rule not in SEGMENT_RULES:
            raise ConfigError("segment_rule", self.segment_rule, f"one of {', '.join(SEGMENT_RULES)}")
        if self.on_error not in ("stop", "skip"):
            raise ConfigError("on_error", self.on_error, "stop or skip")
        try:
            object.__setattr__(self, "encoding", codecs.lookup(self.encoding).name)
        except LookupError as error:
            raise ConfigError("encoding", repr(self.encoding), "utf-8, gb18030, big5, utf-16 or another") from error
        for name in ("short_sequence_prob", "single_segment_prob"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(name, getattr(self, name), "between 0 and 1")
