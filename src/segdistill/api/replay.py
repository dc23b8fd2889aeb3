"""Replay: repeat the step at which a run diverged."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from segdistill.training.replay import Replayed
from segdistill.training.replay import replay as repeat


def replay(
    run: str | Path, *, overrides: Sequence[str] = (), trust: Sequence[str] = ()
) -> Replayed:
    """Repeat the step at which a run diverged, from the ``replay.pt`` in its folder.

    The file holds the batch, the teacher's maps of it and the student's weights of that step, so
    the teacher is not needed unless its maps were too large to keep. The dataset is: it gives the
    names of the classes.

    Example::

        segdistill.replay("runs/student-1").error

    Args:
        run: the folder of a run that diverged.
        overrides: overrides ``a.b=value`` of the run's config, such as ``training.device=cpu``.
        trust: ``import:`` and ``file:`` targets that the folder may name; see
            :mod:`segdistill.trust`.

    Returns:
        The step, the error message if the losses are not finite here either, and the modules and
        maps with values that are not finite, the first one first.

    Raises:
        RunFolderError: the folder contains no such step.
        CheckpointError: the file is broken, or belongs to another run.
        ConfigError, DataError, ValueError: problems with overrides, data or networks, or the
            folder names code that is not trusted.
    """
    return repeat(Path(run), overrides, trust)
