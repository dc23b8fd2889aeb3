"""The analyses of ``segdistill analyse``; each writes one file for the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from segdistill.catalogue.settings import Setting
from segdistill.catalogue.tables import Entry

Need = Literal["plain", "tap", "teacher", "scikit-learn"]
"""What an analysis can need: a plain student to compare with, its tap in every network, a teacher,
or a Python package."""


@dataclass(frozen=True)
class Analysis(Entry):
    """One row of ``ANALYSES``; the row's name is also that of its JSON file.

    Its settings are the fields of ``AnalysisSettings`` that it reads.

    Attributes:
        needs: requirements; if one is not met, the analysis is left out.
        source: figure or equation of the paper that it follows, empty if it is our own.
    """

    needs: tuple[Need, ...] = ()
    source: str = ""


_LOOK = {
    "images": Setting(int, 64, "maximum number of images to analyse", at_least=1, unit="images"),
    "megapixels": Setting(
        int,
        32,
        "maximum number of pixels in all; large images are therefore fewer",
        at_least=1,
        unit="Mpx",
    ),
}
_TAP = Setting(str, "head", "tap whose maps are analysed")
_SEED = Setting(int, 0, "seed for choosing pixels and points")

ANALYSES: Mapping[str, Analysis] = {
    "entropy": Analysis(
        target="entropy:measure",
        about="How soft the teacher's class distributions are at several temperatures.",
        settings={
            **_LOOK,
            "temperatures": Setting(
                tuple[float, ...],
                (1.0, 2.0, 4.0, 8.0, 16.0),
                "temperatures at which the teacher's softmax is measured",
                above=0.0,
            ),
            "bins": Setting(int, 30, "number of bins per histogram", at_least=1),
        },
        needs=("tap", "teacher"),
        source="Niemann et al. 2023, Sec. 5.3 and Fig. 1",
    ),
    "magnitudes": Analysis(
        target="magnitudes:measure",
        about="How norms and directions of student and teacher maps change during training.",
        needs=("teacher",),
        source="Liu et al., WACV 2024, Fig. 2",
    ),
    "critic": Analysis(
        target="critic:measure",
        about="How differently each critic scores teacher and student.",
        settings=dict(_LOOK),
        needs=("tap", "teacher"),
        source="Liu et al., CVPR 2019, Sec. 4.2 and Fig. 3a",
    ),
    "embedding": Analysis(
        target="embedding:measure",
        about="Features of pixels of every class, projected to two dimensions with t-SNE.",
        settings={
            **_LOOK,
            "pixels": Setting(
                int,
                2000,
                "maximum number of pixels plotted, spread evenly over the classes",
                at_least=1,
            ),
            "neighbours": Setting(
                int,
                10,
                "number of nearest neighbours whose classes are compared with a pixel's",
                at_least=1,
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
        about="Cosine similarity of one position's features to those of all others.",
        settings={
            **_LOOK,
            "points": Setting(int, 2, "number of points plotted, one per image", at_least=1),
            "tap": _TAP,
            "seed": _SEED,
        },
        needs=("tap",),
        source="He et al., CVPR 2019, Fig. 3",
    ),
    "activation": Analysis(
        target="activation:measure",
        about="Where the chosen layers of each network are most strongly activated.",
        settings={
            **_LOOK,
            "layers": Setting(
                tuple[str, ...],
                ("backbone",),
                "taps or module paths whose activations are plotted",
            ),
            "heatmaps": Setting(
                int, 2, "number of images whose activations are plotted", at_least=1, unit="images"
            ),
        },
        source="Liu et al., WACV 2024, Fig. 6",
    ),
    "images": Analysis(
        target="images:measure",
        about="The images on which a method gains or loses most against the plain student.",
        settings={
            "pictures": Setting(
                int,
                3,
                "number of worst images shown per method, and of best images",
                at_least=1,
                unit="images",
            ),
        },
        needs=("plain",),
    ),
}
"""Analyses in the order of the report."""
