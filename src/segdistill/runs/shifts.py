"""``shifts.json`` of a run: its scores on the same images under corruptions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from segdistill.runs.documents import check_record, read_tree, write_tree
from segdistill.runs.layout import SHIFT_SCORES


@dataclass(frozen=True)
class ShiftScore:
    """Scores under one corruption.

    Attributes:
        miou: mean IoU, a fraction.
        calibration_error: see ``scoring.calibration``.
        boundary_iou: see ``scoring.boundary``.
        counts: confusion matrix; rows are the labels.
    """

    miou: float
    calibration_error: float
    boundary_iou: float
    counts: tuple[tuple[int, ...], ...]


def name_of_shift(name: str, severity: int) -> str:
    """Return the name of a column, such as ``noise 3``."""
    return f"{name} {severity}"


def write_shifts(run: Path, scores: Mapping[str, ShiftScore]) -> None:
    """Write ``shifts.json``: scores by name and severity."""
    shifts = {name: asdict(score) for name, score in scores.items()}
    write_tree(run / SHIFT_SCORES, {"shifts": shifts})


def read_shifts(run: Path) -> dict[str, ShiftScore]:
    """Read ``shifts.json``, empty if it does not exist.

    Raises:
        RunFolderError: it is broken.
    """
    file = run / SHIFT_SCORES
    if not file.exists():
        return {}
    scores: dict[str, ShiftScore] = check_record(
        file, dict[str, ShiftScore], read_tree(file).get("shifts", {})
    )
    return scores
