"""From text to ids with exactly the rules of BERT's reference tokenizer.

They differ from PaddleNLP's ElectraTokenizer, which splits symbols such as ～ as well, keeps special tokens
that stand in the text whole, and gives up on words of over 100 (not 200) characters.
"""

import unicodedata

MAX_WORD_LENGTH = 200  # characters; a longer word is [UNK]
MAX_CACHED_WORDS = 1_000_000
CJK = (  # first and last code points of the ideograph blocks that become words of one character
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)


class Tokenizer:
    """Clean, split into words, split off punctuation, then greedy longest-match word pieces.

    Args:
        vocabulary: a Vocabulary.
        do_lower_case: lower-case and strip accents.
    """

    def __init__(self, vocabulary, do_lower_case=True):
        self.vocabulary = vocabulary
        self.do_lower_case = do_lower_case
        self._spacing, self._punctuation = SpacingTable(), PunctuationTable()
        self._word_ids = {}

    def encode(self, text):
        """Ids of a text, without special tokens; "[MASK]" in the text is ordinary text."""
        ids = []
        for word in text.translate(self._spacing).split():
            known = self._word_ids.get(word)
            ids.extend(known if known is not None else self._encode_word(word))
        return ids

    def _encode_word(self, word):
        normal = word
        if self.do_lower_case:
            normal = unicodedata.normalize("NFD", word.lower())
            normal = "".join(char for char in normal if unicodedata.category(char) != "Mn")
        ids = [piece for part in normal.translate(self._punctuation).split() for piece in self._pieces(part)]
        if len(self._word_ids) >= MAX_CACHED_WORDS:
            self._word_ids.clear()
        self._word_ids[word] = ids
        return ids

    def _pieces(self, word):
        """Ids of the longest entries that make up the word from left to right, or [UNK] for the whole of it."""
        known, unknown = self.vocabulary.ids, [self.vocabulary.unk]
        if len(word) > MAX_WORD_LENGTH:
            return unknown
        ids, start = [], 0
        while start < len(word):
            prefix = "##" if start else ""
            for end in range(len(word), start, -1):
                piece = known.get(prefix + word[start:end])
                if piece is not None:
                    break
            else:
                return unknown
            ids.append(piece)
            start = end
        return ids


class SpacingTable(dict):
    """For str.translate: drops control characters, turns white space into blanks, puts blanks round ideographs."""

    def __missing__(self, code_point):
        char = chr(code_point)
        category = unicodedata.category(char)
        if char in " \t\n\r" or category == "Zs":
            result = " "
        elif code_point in (0, 0xFFFD) or category.startswith("C"):
            result = ""
        elif any(first <= code_point <= last for first, last in CJK):
            result = f" {char} "
        else:
            result = char
        self[code_point] = result
        return result


class PunctuationTable(dict):
    """For str.translate: puts blanks round punctuation; every ASCII symbol counts as such."""

    def __missing__(self, code_point):
        char = chr(code_point)
        is_ascii_symbol = 33 <= code_point <= 126 and not char.isalnum()
        result = f" {char} " if is_ascii_symbol or unicodedata.category(char).startswith("P") else char
        self[code_point] = result
        return result
