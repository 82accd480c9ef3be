"""Files of the formats that tasks come in: lines, tables, objects; rows of a task's columns; sentences with tags.

Everything is read as a stream, and knows its file and line.
"""

from electra_paddle.finetuning.formats.lines import read_lines
from electra_paddle.finetuning.formats.records import Record, read_records
from electra_paddle.finetuning.formats.rows import Row, read_rows
from electra_paddle.finetuning.formats.sentences import Sentence, read_sentences

__all__ = ["Record", "Row", "Sentence", "read_lines", "read_records", "read_rows", "read_sentences"]
