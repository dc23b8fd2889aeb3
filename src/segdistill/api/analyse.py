"""Analyse: analyses like the papers' figures for the runs of one seed, as files for the report."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from segdistill.analysis.compared import find_compared
from segdistill.analysis.looking import look
from segdistill.analysis.opened import AnalysisSettings, Opened, open_compared
from segdistill.catalogue.analyses import ANALYSES, Need
from segdistill.catalogue.tables import load
from segdistill.config import PLAIN
from segdistill.errors import ConfigError
from segdistill.files import claim_tree, inside
from segdistill.own_code import import_own
from segdistill.runs.analyses import Analysis, write_analysis
from segdistill.runs.layout import ANALYSES as ANALYSES_FOLDER
from segdistill.training.events import Note, Tell, silent


def analyse(
    source: Path | Sequence[Path],
    out: Path | None = None,
    *,
    overrides: Sequence[str] = (),
    trust: Sequence[str] = (),
    settings: AnalysisSettings | None = None,
    own: Sequence[str] = (),
    tell: Tell = silent,
) -> list[Path]:
    """Analyse the networks of finished runs, and write the findings as JSON and pictures.

    There is one JSON file per row of :data:`segdistill.catalogue.analyses.ANALYSES` whose needs
    the runs meet. Every file identifies the runs by config hash and seed.

    Example::

        segdistill.analyse("runs/camvid-students", overrides=["data.root=camvid"])

    Args:
        source: a study folder, of which each pair's first seed is used; the folder of a cohort;
            a run folder; or several run folders.
        out: the files are written to ``out/analyses``; by default the source, or the folder that
            contains the first run. For a study of several pairs, JSON files are in
            ``analyses/<pair>`` and pictures in ``analyses/images/<pair>`` and
            ``analyses/affinity/<pair>``.
        overrides: overrides ``a.b=value`` of the configs, such as ``data.root=…``.
        trust: ``import:`` and ``file:`` targets that files may name; see
            :mod:`segdistill.trust`.
        settings: how much to analyse.
        own: analyses of your own, ``import:package.module:function``; the function is called with
            :class:`segdistill.analysis.looking.Looked` and returns JSON values or None.
        tell: called with every event, including what is left out.

    Returns:
        The JSON files written.

    Raises:
        RunFolderError: there is no finished run.
        OverwriteError: ``analyses`` contains files that no analysis wrote.
        ConfigError, DataError, CheckpointError, ValueError, FileNotFoundError: problems with the
            overrides, the data or the networks.
    """
    written = []
    functions = {target.rpartition(":")[2]: import_own(target, "analysis") for target in own}
    for name in functions.keys() & ANALYSES.keys():
        raise ConfigError(
            f"analyse: expected a name other than {name}, which is a built-in analysis"
        )
    folder = out or (source if isinstance(source, Path) else Path(next(iter(source))).parent)
    root = inside(folder, ANALYSES_FOLDER)
    claim_tree("analyse", root)
    for compared in find_compared(source, overrides=overrides, trust=trust, tell=tell):
        opened = open_compared(compared, settings or AnalysisSettings(), folder, trust=trust)
        who = f"analyse {compared.pair}".strip()
        missing = _missing(opened)
        for reason in missing.values():
            tell(Note(f"{who}: {reason}"))
        looked = look(opened, tell)
        for name, row in ANALYSES.items():
            if missing.keys() & row.needs:
                continue
            values = load("segdistill.analysis", row.target)(looked)
            if values is not None:
                written.append(write_analysis(folder, Analysis(compared.pair, name, values)))
        for name, measure in functions.items():
            values = measure(looked)
            if values is not None:
                written.append(write_analysis(folder, Analysis(compared.pair, name, values)))
    return written


def _missing(opened: Opened) -> dict[Need, str]:
    """Return the needs that the runs do not meet, with the analyses left out because of them."""
    lacking, tap = opened.lacking_tap(), opened.settings.tap
    known: dict[Need, tuple[bool, str]] = {
        "teacher": (opened.teacher is not None, "no run had a teacher"),
        "tap": (
            not lacking,
            f"no tap '{tap}' in {', '.join(lacking)}; name it under taps in the config",
        ),
        "plain": (
            PLAIN in opened.students and len(opened.students) > 1,
            "no plain student beside another",
        ),
        "scikit-learn": (
            find_spec("sklearn") is not None,
            "scikit-learn is not installed; pip install 'segdistill[study]'",
        ),
    }
    return {
        need: f"{lack}: left out {', '.join(n for n, row in ANALYSES.items() if need in row.needs)}"
        for need, (there, lack) in known.items()
        if not there
    }
