"""Analyses: the figures of the results of ``segdistill analyse``."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from segdistill.analysis.captions import Place, method_colors
from segdistill.catalogue.analyses import ANALYSES
from segdistill.drawing.figure import Figure
from segdistill.reporting.material import Material
from segdistill.runs.analyses import read_analyses, using


def show(material: Material) -> Mapping[str, Any] | None:
    """Return the figures, None if nothing was analysed."""
    if material.folder is None:
        return None
    figures = analysis_figures(material.folder, colors=material.method_colors)
    return {"figures": figures} if figures else None


def analysis_figures(folder: Path, *, colors: Mapping[str, str] | None = None) -> list[Figure]:
    """Return the figures of a folder's analyses.

    Args:
        folder: the study, cohort or run folder that was analysed.
        colors: CSS variable by method, if the page has assigned them; otherwise the teacher gets
            ``--s0`` and the methods the following ones in order.

    Raises:
        RunFolderError: a file of an analysis is broken.
    """
    known = [analysis for analysis in read_analyses(folder) if analysis.name in ANALYSES]
    pairs = list(dict.fromkeys(analysis.pair for analysis in known))
    order = list(ANALYSES)
    known.sort(key=lambda analysis: (pairs.index(analysis.pair), order.index(analysis.name)))
    figures = []
    for analysis in known:
        name = f"analysis-{analysis.name}-{pairs.index(analysis.pair)}"
        # Only analyses that exist are imported, and drawing needs no torch.
        module = import_module(f"segdistill.analysis.{analysis.name}")
        with using(folder, analysis):
            place = Place(folder, name, {**method_colors(analysis.values), **(colors or {})})
            figures += module.draw(analysis.values, place)
    return figures
