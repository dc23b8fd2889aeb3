"""What a study was given after it had begun: ``extensions.jsonl``, and the runs it replaced."""

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
        seeds_before: how many seeds the study had.
        seeds: that were added.
        methods: that were added.
        pairs: that were added.
        trials: by which every search became longer.
        seen: whether a final run had ended, so that results may have been looked at.
        time: when, UTC.
    """

    seeds_before: int
    seeds: tuple[int, ...] = ()
    methods: tuple[str, ...] = ()
    pairs: tuple[str, ...] = ()
    trials: int = 0
    seen: bool = False
    time: str = ""


def append_extension(study: Path, extension: Extension) -> None:
    """Add a line, unless a study that was killed right after it is extended by the same again."""
    known = read_extensions(study)
    if not known or replace(known[-1], time="", seen=False) != replace(
        extension, time="", seen=False
    ):
        append_line(study / EXTENSIONS, extension)


def read_extensions(study: Path) -> list[Extension]:
    """Return all extensions, none for a study that never grew.

    Raises:
        RunFolderError: a line is broken; names the line and the key.
    """
    return read_lines(study / EXTENSIONS, Extension)


def supersede(study: Path, folder: str) -> Path:
    """Move a run folder, named from the study's, out of the comparison; it stays readable."""
    number = max(1, len(read_extensions(study)))
    target = inside(study, f"{SUPERSEDED}/{number}/{folder}")
    target.parent.mkdir(parents=True, exist_ok=True)
    (study / folder).rename(target)
    return target


def find_superseded(study: Path) -> list[Path]:
    """Return the run folders that :func:`supersede` moved."""
    return sorted(run for run in (study / SUPERSEDED).glob("*/*/*/*/*") if run.is_dir())
