"""The first entries of every file of an analysis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from segdistill.catalogue.analyses import ANALYSES

if TYPE_CHECKING:
    from segdistill.analysis.opened import Opened


def header(name: str, opened: Opened, *used: str) -> dict[str, Any]:
    """Return source, runs, images and settings of an analysis as JSON values.

    Args:
        name: name of the analysis.
        opened: the analysed networks and images.
        used: names of the settings used by the analysis.
    """
    teacher = opened.compared.teacher
    return {
        "source": ANALYSES[name].source,
        "pair": opened.compared.pair,
        "runs": opened.compared.described(),
        "teacher": None if teacher is None else teacher.tree()["teacher"],
        "split": opened.compared.config.evaluation.split,
        "images_of_split": len(opened.dataset),
        "settings": {setting: getattr(opened.settings, setting) for setting in used},
    }
