"""A study folder: its file, its results, and its final runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segdistill.files import inside
from segdistill.runs.documents import read_tree, read_yaml, write_tree, write_yaml
from segdistill.runs.layout import FINAL, OWN_TEACHERS, SEARCH, SEED, STUDY, STUDY_RESULTS


def is_study(folder: Path) -> bool:
    """Return whether a folder contains a study."""
    return (folder / STUDY).is_file()


def has_begun(study: Path) -> bool:
    """Return whether a study has started to train."""
    return any((study / stage).exists() for stage in (SEARCH, FINAL))


def write_study(study: Path, tree: Mapping[str, Any]) -> None:
    """Write ``study.yaml``: the study file with every default."""
    write_yaml(study / STUDY, tree)


def read_study_settings(study: Path) -> dict[str, Any]:
    """Read ``study.yaml``; raises :class:`RunFolderError` if it is missing or broken."""
    return read_yaml(study / STUDY)


def read_study_text(study: Path) -> str:
    """Return the text of ``study.yaml`` for display; empty if there is none."""
    file = study / STUDY
    return file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""


def write_study_results(study: Path, results: Mapping[str, Any]) -> None:
    """Write ``results.json``: the numerical results of the study."""
    write_tree(study / STUDY_RESULTS, results)


def read_study_results(study: Path) -> dict[str, Any]:
    """Read ``results.json``, empty if the study has not ended;
    raises :class:`RunFolderError` if it is broken.
    """
    file = study / STUDY_RESULTS
    return read_tree(file) if file.exists() else {}


@dataclass(frozen=True)
class FinalRun:
    """A final run and its folder."""

    pair: str
    seed: int
    method: str
    folder: Path


def seed_folder(pair: str, seed: int) -> str:
    """Return the folder of the final runs of one seed, relative to the study's."""
    return f"{FINAL}/{pair}/{SEED}{seed}"


def final_folder(study: Path, pair: str, seed: int, method: str) -> Path:
    """Return the folder of one final run."""
    return study / seed_folder(pair, seed) / method


def own_teacher_folder(study: Path, pair: str) -> Path:
    """Return the folder of the run whose student teaches control ``self_distillation``."""
    return inside(study, f"{OWN_TEACHERS}/{pair}")


def find_final_runs(study: Path) -> Iterator[FinalRun]:
    """Yield all existing final runs, finished or not, sorted by pair, seed and method."""
    folders = (study / FINAL).glob(f"*/{SEED}*/*")
    runs = [
        FinalRun(run.parents[1].name, int(number), run.name, run)
        for run in folders
        if run.is_dir() and (number := run.parent.name.removeprefix(SEED)).isdigit()
    ]
    yield from sorted(runs, key=lambda run: (run.pair, run.seed, run.method))
