"""The log that `visualdl --logdir` shows. The only importer of visualdl."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from electra_paddle.training.loggers import Figures, Logger, Run, parameter_values, plain_values

if TYPE_CHECKING:
    import numpy.typing as npt
    from matplotlib.figure import Figure
    from paddle.nn import Layer

FILE = "vdlrecords.run.log"
NUM_BUCKETS = 30  # of a histogram


class VisualDL(Logger):
    """One log file in FOLDER/visualdl: VisualDL shows only one of a folder."""

    takes_media = True

    def __init__(self, run: Run) -> None:
        from visualdl import LogWriter

        super().__init__(run)
        folder = run.folder / "visualdl"
        keep_records(folder, run.start)
        with contextlib.redirect_stdout(io.StringIO()):  # it says that it goes on with a file
            self._writer = LogWriter(logdir=str(folder), file_name=FILE)

    def add_scalars(self, prefix: str, figures: Figures, step: int) -> None:
        for name, value in figures.items():
            if value is not None:
                self._writer.add_scalar(tag=f"{prefix}/{name}", value=value, step=step)
        self._writer.flush()  # to the operating system, so that it outlives this process

    def add_hparams(self, hparams: Mapping[str, Any], compared_by: Sequence[str]) -> None:
        self._writer.add_hparams(plain_values(hparams), list(compared_by))

    def add_text(self, tag: str, text: str, step: int) -> None:
        self._writer.add_text(tag=tag, text_string=text, step=step)

    def add_figure(self, tag: str, figure: Figure, step: int) -> None:
        self._writer.add_figure(tag=tag, figure=figure, step=step)

    def add_histograms(self, prefix: str, layer: Layer, step: int) -> None:
        for name, values in parameter_values(layer):
            self._writer.add_histogram(tag=f"{prefix}/{name}", values=values, step=step, buckets=NUM_BUCKETS)

    def add_embeddings(self, tag: str, vectors: npt.NDArray[Any], names: Sequence[str], step: int) -> None:
        self._writer.add_embeddings(tag=f"{tag}/step_{step}", mat=vectors, metadata=list(names))

    def close(self) -> None:
        self._writer.close()


def keep_records(folder: Path, last_step: int) -> None:
    """Leave one file with the records up to a step, of however many log files there are.

    Hyper-parameters are dropped, since they are written anew at every start.
    """
    from visualdl.writer.record_writer import RecordWriter

    files = sorted(folder.glob("*vdlrecords*"))
    if not files:
        return
    partial = folder / "resumed.partial"
    with open(partial, "wb") as stream:
        writer = RecordWriter(stream)
        for file in files:
            for data in read_records(file):
                if step_of(data) <= last_step:
                    writer.write(data)
    partial.replace(folder / FILE)
    for file in files:
        if file.name != FILE:
            file.unlink()


def read_records(path: Path) -> Iterator[bytes]:
    """The serialized records of a log file, up to one that a killed process left unfinished."""
    from google.protobuf.message import DecodeError
    from visualdl.proto import record_pb2
    from visualdl.reader.record_reader import RecordReader

    for data in RecordReader(str(path)).get_all():
        try:
            if not record_pb2.Record.FromString(data).values:
                return
        except DecodeError:
            return
        yield data


def step_of(data: bytes) -> float:
    """The update that a record belongs to: 0 for a record of no update, infinity for hyper-parameters."""
    from visualdl.proto import record_pb2

    value = record_pb2.Record.FromString(data).values[0]
    kind = value.WhichOneof("one_value")
    if kind == "hparam":
        return float("inf")
    step = value.tag.rpartition("/step_")[2]  # embeddings have it in their tag only
    return int(step) if kind == "embeddings" and step.isdigit() else value.id
