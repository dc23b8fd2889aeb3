"""Analyse: what the papers' figures show, for the runs of one seed, as files for the report."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from torch import nn

from segdistill.analysis.compared import find_compared
from segdistill.analysis.critics import critic_scores
from segdistill.analysis.differences import image_differences
from segdistill.analysis.insides import (
    Seen,
    Targets,
    affinity_maps,
    embeddings_in_the_plane,
    entropy_of_teacher,
    find_targets,
    look,
)
from segdistill.analysis.magnitudes import magnitudes
from segdistill.analysis.opened import TEACHER, AnalysisSettings, Opened, open_compared
from segdistill.models.taps import tap_paths
from segdistill.runs.analyses import Analysis, analyses_root, write_analysis
from segdistill.training.events import Note, Tell, silent


def analyse(
    source: Path | Sequence[Path],
    out: Path | None = None,
    *,
    overrides: Sequence[str] = (),
    settings: AnalysisSettings | None = None,
    tell: Tell = silent,
) -> list[Path]:
    """Look into the networks of finished runs and write what is found as JSON and pictures.

    The files are ``entropy.json``, ``embedding.json``, ``affinity.json``, ``critic.json``,
    ``magnitudes.json`` and ``images.json``, each where the runs have what it needs, with
    pictures beside them. Every file names the runs by config hash and seed.

    Args:
        source: a study folder, of which each pair's first seed is taken; the folder of a
            cohort; a run folder; or several run folders.
        out: the files go to ``out/analyses``; the source by default, or what holds the first
            run. Of a study of several pairs the JSON files are in ``analyses/<pair>`` and the
            pictures in ``analyses/images/<pair>`` and ``analyses/affinity/<pair>``.
        overrides: ``a.b=value`` words on the configs, such as ``data.root=…``.
        settings: how much is looked at.
        tell: called with what happens and what is left out.

    Returns:
        The JSON files written.

    Raises:
        RunFolderError: there is no finished run.
        ConfigError, DataError, CheckpointError, ValueError, FileNotFoundError: from the
            overrides, the data and the networks.
    """
    written = []
    folder = out or _home(source)
    for compared in find_compared(source, overrides=overrides, tell=tell):
        opened = open_compared(compared, settings or AnalysisSettings(), analyses_root(folder))
        for name, values in _analyse(opened, tell).items():
            if values is not None:
                written.append(write_analysis(folder, Analysis(compared.pair, name, values)))
    return written


def _home(source: Path | Sequence[Path]) -> Path:
    return source if isinstance(source, Path) else Path(next(iter(source))).parent


def _analyse(opened: Opened, tell: Tell) -> dict[str, dict[str, Any] | None]:
    """Return what each file holds, None where the runs lack what it needs."""
    settings, pair = opened.settings, opened.compared.pair
    found: dict[str, dict[str, Any] | None] = {}
    if opened.teacher is None:
        tell(Note(f"{_who(pair)}: no run had a teacher: no entropy and no critic"))
    lacking = [name for name, one in opened.networks.items() if not _has(one, settings.tap)]
    if lacking:
        tell(
            Note(
                f"{_who(pair)}: no tap '{settings.tap}' in {', '.join(lacking)}: name it under "
                "taps in the config for entropy, embeddings, affinities and critics"
            )
        )
    else:
        targets = find_targets(opened)
        found |= _look_inside(opened, targets, look(opened, targets, tell), tell)
    found["magnitudes"] = magnitudes(opened)
    found["images"] = image_differences(opened, opened.root / "images" / pair, tell)
    return found


def _has(network: nn.Module, tap: str) -> bool:
    return tap in tap_paths(network) or tap in dict(network.named_modules())


def _who(pair: str) -> str:
    return f"analyse {pair}".strip()


def _look_inside(
    opened: Opened, targets: Targets, seen: dict[str, Seen], tell: Tell
) -> dict[str, dict[str, Any] | None]:
    found: dict[str, dict[str, Any] | None] = {}
    if TEACHER in seen:
        found["entropy"] = entropy_of_teacher(opened, seen[TEACHER].logits)
    if find_spec("sklearn") is None:
        tell(Note("scikit-learn is not installed: no t-SNE; pip install 'segdistill[study]'"))
    else:
        found["embedding"] = embeddings_in_the_plane(opened, targets, seen, tell)
    found["affinity"] = affinity_maps(opened, targets, seen)
    found["critic"] = critic_scores(opened, seen, tell)
    return found
