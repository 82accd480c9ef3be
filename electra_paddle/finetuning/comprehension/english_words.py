"""English words as the Chinese metric counts them: the rules of the Penn Treebank, for text in lower case.

The metric's original takes NLTK's `word_tokenize`. Its word rules are written down here for what can reach them: no
upper case, none of the punctuation that the metric drops. Of its sentence splitter, a trained model, one effect can be
seen in the words: whether a period in the middle of the text stands alone. A period does, unless its word is an
abbreviation, or is a single letter or a number before a word in lower case. The model's abbreviations are
approximated by the common ones.
"""

import re

ABBREVIATIONS = {
    "dr", "mr", "mrs", "ms", "messrs", "prof", "rev", "hon", "st", "sr", "jr", "gov", "sen", "rep", "gen",
    "col", "lt", "sgt", "capt", "maj", "adm", "inc", "corp", "co", "ltd", "bros", "vs", "jan", "feb", "aug",
    "sept", "oct", "nov", "dec", "ave",
}  # fmt: skip
INNER_PERIOD = re.compile(
    r"""(?P<word>[^\s("\[{;&\#@)}\],?!'][^\s("\[{;@)}\]?!']*)?  # what stands before it, without its opening marks
    (?<!\.)\.(?!\.)
    (?P<closers>["'\])}>»]*)
    (?=(?P<next>\s+\S|[?!)";}\]@'({\[]))""",
    re.VERBOSE,
)
FINAL_PERIOD = re.compile(r"([^.])\.([\])}>\"'» ]*)\s*$")
NUMBER = re.compile(r"[.,]?\d[\d,.]*", re.ASCII)
LETTERS_WITH_PERIODS = re.compile(r"[a-z](\.[a-z])+")

WORDS_IN_TWO = ("can not", "d 'ye", "gim me", "gon na", "got ta", "lem me", "mor 'n")  # cannot is can not
ASCII_RULES = [
    (re.compile(pattern, re.ASCII), replacement)
    for pattern, replacement in (
        (r",(\D)", r" , \1"),  # a comma before a digit belongs to the number
        (r",$", " , "),
        (r"\.\.\.", " ... "),
        (r"[;@#$%&?!]", r" \g<0> "),
        (r"([^'])' ", r"\1 ' "),
        (r"[\]\[(){}<>]", r" \g<0> "),
        (r"\A|\Z", " "),
        ("»", " » "),
        ('"', " '' "),
        (r"(\S)''", r"\1 '' "),
        (r"([^' ])('[smd]|') ", r"\1 \2 "),
        (r"([^' ])('ll|'re|'ve|n't) ", r"\1 \2 "),
        *((rf"\b({word.replace(' ', ')(')})\b", r" \1 \2 ") for word in WORDS_IN_TWO),
        (r"\b(wan)(na)\s", r" \1 \2 "),
        (r" ('t)(is|was)\b", r" \1 \2 "),
    )
]
OPENING_RULES = [
    (re.compile("[«‘„]"), r" \g<0> "),
    (re.compile('^"'), " `` "),
    (re.compile(r"([ (\[{<])(\"|'{2})"), r"\1 `` "),
    (re.compile(r"'(?!re|ve|ll|m|t|s|d)(\w)\b"), r"' \1"),
]


def english_words(text: str) -> list[str]:
    """The words and punctuation marks of a text in lower case, as a list."""
    text = INNER_PERIOD.sub(_part_period, text)
    for pattern, replacement in OPENING_RULES:
        text = pattern.sub(replacement, text)
    text = FINAL_PERIOD.sub(r"\1 . \2 ", text)
    for pattern, replacement in ASCII_RULES:
        text = pattern.sub(replacement, text)
    return text.split()


def _part_period(match: re.Match[str]) -> str:
    """A word and its period; apart where the period ends a sentence."""
    word, next_char = match["word"] or "", match["next"].strip()[:1]
    is_abbreviated = word in ABBREVIATIONS or LETTERS_WITH_PERIODS.fullmatch(word)
    may_abbreviate = (len(word) == 1 and word.isalpha()) or NUMBER.fullmatch(word)
    if is_abbreviated or (may_abbreviate and (next_char.islower() or next_char in "?!;:,.")):
        return match[0]
    return f"{word} . {match['closers']}"
