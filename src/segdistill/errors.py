"""The package's own exceptions, for failures that no built-in exception names."""


class SegdistillError(Exception):
    """Base of every error that segdistill raises on purpose beside the built-in ones."""


class ConfigError(SegdistillError):
    """A config that cannot be run: unknown key, wrong value, missing part."""


class DataError(SegdistillError):
    """A dataset that cannot be trained on or scored: names every file at fault."""


class LayoutError(DataError):
    """A folder that is not laid out as its dataset is."""


class CheckpointError(SegdistillError):
    """A checkpoint or weight file that is broken or belongs to another network."""


class RunFolderError(SegdistillError):
    """A run folder that already holds another run, or lacks what was asked of it."""


class FileRefusedError(SegdistillError):
    """An exported file that does not do what its network does."""


class OverwriteError(SegdistillError):
    """A file that a command would write over, and that it did not make."""


class TrainingDivergedError(SegdistillError):
    """A loss that is no longer finite; the message names the part.

    Attributes:
        step: steps finished before, None if that is not known.
    """

    def __init__(self, message: str, *, step: int | None = None) -> None:
        super().__init__(message)
        self.step = step
