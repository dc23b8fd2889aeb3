"""What ``segdistill analyse`` found: JSON files by pair, and pictures named from one root.

The root is ``analyses`` of a study, cohort or run folder. The files of a pair are
``analyses/<pair>/NAME.json``, those of a single pair ``analyses/NAME.json``. The name of every
picture in them is relative to the root, whatever the pair.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segdistill.errors import RunFolderError
from segdistill.files import inside, write_whole
from segdistill.runs.documents import read_tree
from segdistill.runs.layout import ANALYSES, FORMAT


@dataclass(frozen=True)
class Analysis:
    """One file of an analysis.

    Attributes:
        pair: teacher and student, empty where there is one pair.
        name: of the analysis, such as ``images``.
        values: what was found.
    """

    pair: str
    name: str
    values: Mapping[str, Any]


def analyses_root(folder: Path) -> Path:
    """Return the folder that pictures are named from.

    Raises:
        ValueError: it is a link that leads elsewhere.
    """
    return inside(folder, ANALYSES)


def write_analysis(folder: Path, analysis: Analysis) -> Path:
    """Write ``analyses/<pair>/NAME.json`` and return it.

    Args:
        folder: the study, cohort or run folder.
        analysis: names of pictures in it are those of :func:`name_picture`.
    """
    file = inside(analyses_root(folder), f"{analysis.pair}/{analysis.name}.json".lstrip("/"))
    file.parent.mkdir(parents=True, exist_ok=True)
    # On one line: indented, every number of an embedding would have one of its own.
    tree = {"format": FORMAT} | dict(analysis.values)
    write_whole(file, json.dumps(tree, allow_nan=False) + "\n", made_by="analyse")
    return file


def read_analyses(folder: Path) -> list[Analysis]:
    """Return every analysis of a folder, those of one pair together; none without any.

    Raises:
        RunFolderError: a file is broken.
    """
    root = analyses_root(folder)
    places = [root, *sorted(path for path in root.glob("*/") if any(path.glob("*.json")))]
    return [
        Analysis("" if place == root else place.name, file.stem, read_tree(file))
        for place in places
        for file in sorted(place.glob("*.json"))
    ]


def read_analysis(folder: Path, name: str, pair: str = "") -> Analysis | None:
    """Return one analysis, None where it was not made; raises as :func:`read_analyses`."""
    file = analyses_root(folder) / pair / f"{name}.json"
    return Analysis(pair, name, read_tree(file)) if file.exists() else None


@contextmanager
def using(folder: Path, analysis: Analysis) -> Iterator[None]:
    """Name the file if values or pictures are missing, or of another kind than was written.

    Raises:
        RunFolderError: in place of what reading such values raises.
    """
    try:
        yield
    except (AttributeError, LookupError, OSError, TypeError, ValueError) as error:
        if isinstance(error, RunFolderError):
            raise
        file = analyses_root(folder) / analysis.pair / f"{analysis.name}.json"
        missing = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise RunFolderError(
            f"{file}: expected the values and pictures that analyse writes, got others "
            f"({missing}); analyse again"
        ) from error


def has_analysis(folder: Path, name: str, pair: str = "") -> bool:
    """Return whether an analysis was made."""
    return (analyses_root(folder) / pair / f"{name}.json").is_file()


def remove_analyses(folder: Path) -> None:
    """Delete every analysis of a study whose runs are other ones now; pictures are written over."""
    root = analyses_root(folder)
    for file in (*root.glob("*.json"), *root.glob("*/*.json")):
        file.unlink()


def picture_folder(folder: Path, kind: str, pair: str = "") -> Path:
    """Return the folder of an analysis's pictures, such as ``analyses/images/<pair>``."""
    return analyses_root(folder) / kind / pair


def name_picture(folder: Path, file: Path) -> str:
    """Return the name of a picture as the JSON files give it: from the root of the analyses."""
    return file.relative_to(analyses_root(folder)).as_posix()


def find_picture(folder: Path, name: str) -> Path:
    """Return the file of a picture that a JSON file names.

    Raises:
        RunFolderError: the name leads out of the analyses.
    """
    root = analyses_root(folder)
    file = root / name
    if not file.resolve().is_relative_to(root.resolve()):
        raise RunFolderError(
            f"{root}: expected pictures inside, got the name {name}, which leads out of it; "
            "analyse again, or leave the folder alone"
        )
    return file
