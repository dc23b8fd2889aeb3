"""Extensions of a study that had started: ``extensions.jsonl``, and the runs they replaced."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from segdistill.files import inside
from segdistill.runs.documents import append_line, read_lines
from segdistill.runs.layout import EXTENSIONS, SUPERSEDED


@dataclass(frozen=True, kw_only=True)
class Extension:
    """A line of ``extensions.jsonl``.

    Attributes:
        seeds_before: number of seeds that the study had.
        seeds: seeds that were added.
        methods: methods that were added.
        pairs: pairs that were added.
        trials: number of trials added to every search.
        seen: whether a final run had ended, so that results may have been seen.
        time: time of the extension, UTC.
    """

    seeds_before: int
    seeds: tuple[int, ...] = ()
    methods: tuple[str, ...] = ()
    pairs: tuple[str, ...] = ()
    trials: int = 0
    seen: bool = False
    time: str = ""


def append_extension(study: Path, extension: Extension) -> None:
    """Append a line, unless the last one is equal because the study was killed right after it."""
    known = read_extensions(study)
    if not known or replace(known[-1], time="", seen=False) != replace(
        extension, time="", seen=False
    ):
        append_line(study / EXTENSIONS, extension)


def read_extensions(study: Path) -> list[Extension]:
    """Return all extensions of a study.

    Raises:
        RunFolderError: a line is broken; line and key are named.
    """
    return read_lines(study / EXTENSIONS, Extension)


def supersede(study: Path, folder: str) -> Path:
    """Move a run folder, relative to the study's, out of the comparison without deleting it."""
    number = max(1, len(read_extensions(study)))
    target = inside(study, f"{SUPERSEDED}/{number}/{folder}")
    target.parent.mkdir(parents=True, exist_ok=True)
    (study / folder).rename(target)
    return target


def find_superseded(study: Path) -> list[Path]:
    """Return the run folders that :func:`supersede` moved."""
    return sorted(run for run in (study / SUPERSEDED).glob("*/*/*/*/*") if run.is_dir())
