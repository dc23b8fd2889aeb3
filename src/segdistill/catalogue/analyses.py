"""The analyses: what ``segdistill analyse`` looks at, one file for the report each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from segdistill.catalogue.settings import Setting
from segdistill.catalogue.tables import Entry

Need = Literal["plain", "tap", "teacher", "scikit-learn"]
"""A plain student beside another; the tap in every network; a teacher; the package."""


@dataclass(frozen=True)
class Analysis(Entry):
    """One row of ``ANALYSES``, whose key is the name of the JSON file.

    The settings are those of ``AnalysisSettings`` that the row reads.

    Attributes:
        needs: without which it is left out.
        source: the paper's figure or equation that it follows, empty where it is our own.
    """

    needs: tuple[Need, ...] = ()
    source: str = ""


_LOOK = {
    "images": Setting(int, 64, "most images that are looked into", at_least=1, unit="images"),
    "megapixels": Setting(
        int, 32, "most pixels over these images; large images are fewer", at_least=1, unit="Mpx"
    ),
}
_TAP = Setting(str, "head", "name of the maps that are looked at")
_SEED = Setting(int, 0, "seed of the pixels and points that are drawn")

ANALYSES: Mapping[str, Analysis] = {
    "entropy": Analysis(
        target="entropy:measure",
        about="How soft the teacher's class distributions are at several temperatures.",
        settings={
            **_LOOK,
            "temperatures": Setting(
                tuple[float, ...],
                (1.0, 2.0, 4.0, 8.0, 16.0),
                "temperatures that the teacher is softened by",
                above=0.0,
            ),
            "bins": Setting(int, 30, "bars of each histogram", at_least=1),
        },
        needs=("tap", "teacher"),
        source="Niemann et al. 2023, Sec. 5.3 and Fig. 1",
    ),
    "magnitudes": Analysis(
        target="magnitudes:measure",
        about="How lengths and directions of student and teacher maps changed in training.",
        needs=("teacher",),
        source="Liu et al., WACV 2024, Fig. 2",
    ),
    "critic": Analysis(
        target="critic:measure",
        about="How far apart each critic scores teacher and student.",
        settings=dict(_LOOK),
        needs=("tap", "teacher"),
        source="Liu et al., CVPR 2019, Sec. 4.2 and Fig. 3a",
    ),
    "embedding": Analysis(
        target="embedding:measure",
        about="Pixels of every class as each network sees them, in the plane (t-SNE).",
        settings={
            **_LOOK,
            "pixels": Setting(
                int, 2000, "most pixels that are drawn, evenly over the classes", at_least=1
            ),
            "neighbours": Setting(
                int, 10, "nearest pixels whose classes are compared with a pixel's", at_least=1
            ),
            "perplexity": Setting(float, 30.0, "perplexity of t-SNE", above=0.0),
            "tap": _TAP,
            "seed": _SEED,
        },
        needs=("tap", "scikit-learn"),
        source="Yang et al., CVPR 2022, Fig. 5",
    ),
    "affinity": Analysis(
        target="affinity:measure",
        about="How similar a point's features are to those of all other positions.",
        settings={
            **_LOOK,
            "points": Setting(int, 2, "points that are drawn, one per image", at_least=1),
            "tap": _TAP,
            "seed": _SEED,
        },
        needs=("tap",),
        source="He et al., CVPR 2019, Fig. 3",
    ),
    "activation": Analysis(
        target="activation:measure",
        about="Where chosen layers of every network answer most strongly.",
        settings={
            **_LOOK,
            "layers": Setting(
                tuple[str, ...],
                ("backbone",),
                "taps or module paths whose activations are drawn",
            ),
            "heatmaps": Setting(
                int, 2, "images whose activations are drawn", at_least=1, unit="images"
            ),
        },
        source="Liu et al., WACV 2024, Fig. 6",
    ),
    "images": Analysis(
        target="images:measure",
        about="The images on which a method gained and lost most against the plain student.",
        settings={
            "pictures": Setting(
                int, 3, "worst images of each method, and as many best", at_least=1, unit="images"
            ),
        },
        needs=("plain",),
    ),
}
"""Analyses in the order of the report."""
