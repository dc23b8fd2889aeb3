"""Analyse: what the papers' figures show, for the runs of one seed, as files for the report."""

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
from segdistill.files import LEDGER, claim, inside
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
    """Look into the networks of finished runs and write what is found as JSON and pictures.

    There is one file per row of :data:`segdistill.catalogue.analyses.ANALYSES`, each where the
    runs have what it needs, with pictures beside them. Every file names the runs by config hash
    and seed.

    Args:
        source: a study folder, of which each pair's first seed is taken; the folder of a
            cohort; a run folder; or several run folders.
        out: the files go to ``out/analyses``; the source by default, or what holds the first
            run. Of a study of several pairs the JSON files are in ``analyses/<pair>`` and the
            pictures in ``analyses/images/<pair>`` and ``analyses/affinity/<pair>``.
        overrides: ``a.b=value`` words on the configs, such as ``data.root=…``.
        trust: ``import:`` and ``file:`` targets that files may name; see
            :mod:`segdistill.trust`.
        settings: how much is looked at.
        own: analyses of your own, ``import:package.module:function``: called with
            :class:`segdistill.analysis.looking.Looked`, it returns what JSON can hold, or None.
        tell: called with what happens and what is left out.

    Returns:
        The JSON files written.

    Raises:
        RunFolderError: there is no finished run.
        OverwriteError: ``analyses`` holds files that no analysis wrote.
        ConfigError, DataError, CheckpointError, ValueError, FileNotFoundError: from the
            overrides, the data and the networks.
    """
    written = []
    functions = {target.rpartition(":")[2]: import_own(target, "analysis") for target in own}
    for name in functions.keys() & ANALYSES.keys():
        raise ConfigError(
            f"analyse: expected another name than {name}, which is an analysis of ours"
        )
    folder = out or (source if isinstance(source, Path) else Path(next(iter(source))).parent)
    root = inside(folder, ANALYSES_FOLDER)
    claim("analyse", [f for f in root.rglob("*") if f.is_file() and f.name != LEDGER])
    for compared in find_compared(source, overrides=overrides, trust=trust, tell=tell):
        opened = open_compared(compared, settings or AnalysisSettings(), folder, trust=trust)
        who = f"analyse {compared.pair}".strip()
        missing = _missing(opened)
        for said in missing.values():
            tell(Note(f"{who}: {said}"))
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
    """Return what the runs lack, with a sentence that says what is left out for it."""
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
        need: f"{said}: left out {', '.join(n for n, row in ANALYSES.items() if need in row.needs)}"
        for need, (there, said) in known.items()
        if not there
    }
