"""The analyses: what ``segdistill analyse`` looks at, one file for the report each."""

from __future__ import annotations

from dataclasses import dataclass

from segdistill.catalogue.settings import Setting
from segdistill.catalogue.tables import Entry


@dataclass(frozen=True)
class Analysis(Entry):
    """One row of ``ANALYSES``, whose key is the name of the JSON file.

    The settings are those of ``AnalysisSettings`` that the row reads.

    Attributes:
        needs: what the runs must have had, beside being finished.
        source: the paper's figure or equation that it follows, empty where it is our own.
    """

    needs: str = ""
    source: str = ""


_LOOK = {
    "images": Setting(int, 64, "most images that are looked into", at_least=1, unit="images"),
    "megapixels": Setting(
        int, 32, "most pixels over these images; large images are fewer", at_least=1, unit="Mpx"
    ),
}
_TAP = Setting(str, "head", "name of the maps that are looked at")
_SEED = Setting(int, 0, "seed of the pixels and points that are drawn")

ANALYSES: dict[str, Analysis] = {
    "entropy": Analysis(
        target="insides:entropy_of_teacher",
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
        needs="a teacher",
        source="Niemann et al. 2023, Sec. 5.3 and Fig. 1",
    ),
    "embedding": Analysis(
        target="insides:embeddings_in_the_plane",
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
        needs="scikit-learn",
        source="Yang et al., CVPR 2022, Fig. 5",
    ),
    "affinity": Analysis(
        target="insides:affinity_maps",
        about="How similar a point's features are to those of all other positions.",
        settings={
            **_LOOK,
            "points": Setting(int, 2, "points that are drawn, one per image", at_least=1),
            "tap": _TAP,
            "seed": _SEED,
        },
        source="He et al., CVPR 2019, Fig. 3",
    ),
    "critic": Analysis(
        target="critics:critic_scores",
        about="How far apart each critic scores teacher and student.",
        settings=dict(_LOOK),
        needs="a teacher, and a run with a critic on the logits",
        source="Liu et al., CVPR 2019, Sec. 4.2 and Fig. 3a",
    ),
    "magnitudes": Analysis(
        target="magnitudes:magnitudes",
        about="How lengths and directions of student and teacher maps changed in training.",
        needs="a run with the loss feature_mse_terms",
        source="Liu et al., WACV 2024, Fig. 2",
    ),
    "images": Analysis(
        target="differences:image_differences",
        about="The images on which a method gained and lost most against the plain student.",
        settings={
            "pictures": Setting(
                int, 3, "worst images of each method, and as many best", at_least=1, unit="images"
            ),
        },
        needs="a plain student and another method",
    ),
}
