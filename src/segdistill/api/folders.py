"""The folder of a new run; free of torch."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from segdistill.errors import RunFolderError
from segdistill.runs.layout import ANALYSES, REPORT, SETTINGS
from segdistill.runs.lock import claim_numbered, is_first_process, newest_number

ROOT = Path("runs")


def choose_folder(source: str | Path, out: str | Path | None = None, *, resume: bool) -> Path:
    """Return the folder of a run: the requested one, or a new ``runs/<recipe>-N``.

    Args:
        source: config file or name of a recipe.
        out: the requested folder.
        resume: choose the newest existing folder instead of the first free one.

    Raises:
        RunFolderError: there is no folder to resume.
    """
    if out is not None:
        return Path(out)
    stem = Path(source).stem if Path(source).suffix else str(source).replace("/", "-")
    newest = newest_number(ROOT, stem)
    if resume and not newest:
        raise RunFolderError(
            f"{ROOT / stem}-N: expected a run to resume, got none; name its folder with --out, "
            "or leave out --resume"
        )
    if resume:
        return ROOT / f"{stem}-{newest}"
    # The first process tells the others of the same run which folder it has chosen.
    return claim_numbered(ROOT, stem) if is_first_process() else ROOT / f"{stem}-{newest + 1}"


def check_cohort_folder(folder: Path, learners: Collection[str]) -> None:
    """Refuse a folder that contains anything but runs, folders of runs, and files made from them.

    Args:
        folder: folder of the cohort.
        learners: names of the runs to come.

    Raises:
        RunFolderError: it contains something else, which is named.
    """
    made = {*learners, ANALYSES, REPORT}
    foreign = sorted(
        entry.name
        for entry in (folder.iterdir() if folder.exists() else ())
        if not entry.name.startswith(".")
        and entry.name not in made
        and not any(entry.glob(f"**/{SETTINGS}"))
    )
    if foreign:
        raise RunFolderError(
            f"{folder}: expected a new folder or one of runs, got one with "
            f"{', '.join(foreign[:3])}; choose another with --out"
        )
