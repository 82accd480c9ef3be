"""The log that `visualdl --logdir` shows. The only importer of visualdl."""

import contextlib
import io
from pathlib import Path

import numpy as np

FILE = "vdlrecords.run.log"
SAMPLE = 10_000  # values of a parameter that a histogram counts


class VisualLog:
    """One VisualDL log file; VisualDL shows only one of a folder.

    Args:
        folder: where it is.
        start: updates done before; what an earlier process wrote about later ones is dropped.
    """

    def __init__(self, folder, start=0):
        from visualdl import LogWriter

        keep_records(Path(folder), start)
        with contextlib.redirect_stdout(io.StringIO()):  # it says that it goes on with a file
            self._writer = LogWriter(logdir=str(folder), file_name=FILE)

    def add_scalars(self, prefix, figures, step):
        """Figures under `prefix/NAME`; None is left out."""
        for name, value in figures.items():
            if value is not None:
                self._writer.add_scalar(tag=f"{prefix}/{name}", value=value, step=step)

    def add_text(self, tag, text, step):
        self._writer.add_text(tag=tag, text_string=text, step=step)

    def add_hparams(self, hparams, metrics):
        """Hyper-parameters, and the tags of the scalars that they are to be compared by."""
        plain = {name: value if type(value) in (int, float, str) else str(value) for name, value in hparams.items()}
        self._writer.add_hparams(plain, metrics)

    def add_histograms(self, prefix, layer, step):
        """Histograms of a Layer's parameters, of some of the values of each."""
        for name, parameter in layer.named_parameters():
            values = parameter.flatten()[:: max(1, int(parameter.size) // SAMPLE)]
            values = values.astype("float32").numpy()
            if np.isfinite(values).all():
                self._writer.add_histogram(tag=f"{prefix}/{name}", values=values, step=step, buckets=30)

    def add_embeddings(self, tag, vectors, names, step):
        """Vectors [N, E] with their names, for the projector."""
        self._writer.add_embeddings(tag=f"{tag}/step_{step}", mat=vectors, metadata=list(names))

    def add_figure(self, tag, figure, step):
        """A matplotlib Figure."""
        self._writer.add_figure(tag=tag, figure=figure, step=step)

    def flush(self):
        """Hand everything to the operating system, so that it outlives this process."""
        self._writer.flush()

    def close(self):
        self._writer.close()


def precision_recall_figure(precision, recall):
    """A matplotlib Figure; VisualDL's own curves do not work with numpy 1.26."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 4), dpi=80)
    axes = figure.add_subplot()
    axes.plot(recall, precision)
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1), title="replaced tokens")
    return figure


def keep_records(folder, last_step):
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


def read_records(path):
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


def step_of(data):
    """The update that a record is about; of what is not about any, 0, of hyper-parameters infinity."""
    from visualdl.proto import record_pb2

    value = record_pb2.Record.FromString(data).values[0]
    kind = value.WhichOneof("one_value")
    if kind == "hparam":
        return float("inf")
    step = value.tag.rpartition("/step_")[2]  # embeddings have it in their tag only
    return int(step) if kind == "embeddings" and step.isdigit() else value.id
