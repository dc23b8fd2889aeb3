"""Where the folder of a new run is; free of torch."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from segdistill.errors import RunFolderError
from segdistill.runs.layout import ANALYSES, REPORT, SETTINGS
from segdistill.runs.lock import claim_numbered, is_first_process, newest_number

ROOT = Path("runs")


def choose_folder(source: str | Path, out: str | Path | None = None, *, resume: bool) -> Path:
    """Return where a run goes: what was asked, or ``runs/<recipe>-N``, made for it alone.

    Args:
        source: config file or name of a recipe.
        out: what was asked.
        resume: choose the newest folder that is there, not the first that is free.

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
    # The other processes of a run are told by the first where it goes.
    return claim_numbered(ROOT, stem) if is_first_process() else ROOT / f"{stem}-{newest + 1}"


def check_cohort_folder(folder: Path, learners: Collection[str]) -> None:
    """Refuse a folder that holds anything but runs, folders of runs, and what is made of them.

    Args:
        folder: of the cohort.
        learners: names of the runs to come.

    Raises:
        RunFolderError: names what else is in it.
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
            f"{folder}: expected a new folder or one of runs, got {', '.join(foreign[:3])} in it; "
            "choose another with --out"
        )
