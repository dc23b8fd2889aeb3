"""``further_counts.json`` of a run: what its boundary IoU and calibration error are made of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from segdistill.runs.documents import read_document, write_document
from segdistill.runs.layout import FURTHER_COUNTS


@dataclass(frozen=True, kw_only=True)
class FurtherCounts:
    """``further_counts.json``.

    Attributes:
        boundary_both: pixels by class in the boundary of labels and prediction alike; see
            ``scoring.boundary``.
        boundary_either: pixels by class in either boundary.
        pixels: labelled pixels by bin of confidence; see ``scoring.calibration``.
        right: those with the right class.
        confidence: sum of their confidences.
    """

    boundary_both: tuple[int, ...]
    boundary_either: tuple[int, ...]
    pixels: tuple[int, ...]
    right: tuple[int, ...]
    confidence: tuple[float, ...]


def write_further(run: Path, counts: FurtherCounts) -> None:
    """Write ``further_counts.json``."""
    write_document(run / FURTHER_COUNTS, counts)


def read_further(run: Path) -> FurtherCounts | None:
    """Read ``further_counts.json``; None if it does not exist, as in runs of older releases.

    Raises:
        RunFolderError: it is broken.
    """
    file = run / FURTHER_COUNTS
    return read_document(file, FurtherCounts) if file.exists() else None
