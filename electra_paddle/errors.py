"""Mistakes a user can mend, told in one line: where, what was found, what was expected, what to do."""


class ElectraPaddleError(ValueError):
    """A user's mistake. The command line prints it as one line and exits with status 2.

    Args:
        where: the file, with line or key if there is one, or the name of the option.
        found: what stands there.
        expected: what should stand there.
        advice: what to do about it, where that is not obvious.
    """

    def __init__(self, where, found, expected, advice=""):
        message = f"{where}: found {found}, expected {expected}"
        super().__init__(" ".join((f"{message}; {advice}" if advice else message).split()))


class ConfigError(ElectraPaddleError):
    """A hyper-parameter, an option or a configuration file."""


class DataError(ElectraPaddleError):
    """A corpus, a vocabulary, shards or a task's files."""


class CheckpointError(ElectraPaddleError):
    """A checkpoint or a pretrained directory."""
