"""What ``segdistill analyse`` can look at; each row's code is ``analysis/NAME.py``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Need = Literal["plain", "tap", "teacher", "scikit-learn"]
"""A plain student beside another; the tap in every network; a teacher; the package."""


@dataclass(frozen=True)
class Analysis:
    """One row: a figure of the report.

    Attributes:
        about: one sentence for lists and documentation.
        needs: without which it is left out.
        source: paper and figure that it follows, empty where it is ours.
    """

    about: str
    needs: tuple[Need, ...] = ()
    source: str = ""


ANALYSES: Mapping[str, Analysis] = {
    "entropy": Analysis(
        "how soft the teacher's class probabilities are, at several temperatures",
        needs=("tap", "teacher"),
        source="Niemann et al. 2023, Fig. 1",
    ),
    "magnitudes": Analysis(
        "lengths of the feature maps during training, from the log of feature_mse_terms",
        needs=("teacher",),
        source="Liu et al., WACV 2024 (angular), Fig. 2",
    ),
    "critic": Analysis(
        "by how much a run's critic scores the teacher above the students",
        needs=("tap", "teacher"),
        source="Liu et al., CVPR 2019 (SKD), Fig. 3a",
    ),
    "embedding": Analysis(
        "where t-SNE puts the pixels of each class, in every network",
        needs=("tap", "scikit-learn"),
        source="Yang et al., CVPR 2022 (CIRKD), Fig. 5",
    ),
    "affinity": Analysis(
        "how similar every position of a picture is to one point of it",
        needs=("tap",),
        source="He et al., CVPR 2019 (KA), Fig. 3",
    ),
    "images": Analysis(
        "the mIoU of every image against plain, with pictures of the worst and best images",
        needs=("plain",),
    ),
}
"""Analyses in the order of the report."""
