"""The results of ``segdistill analyse``: JSON files by pair, and pictures below one root.

The root is ``analyses`` in a study, cohort or run folder. The files of a pair are
``analyses/<pair>/NAME.json``, those of a single pair ``analyses/NAME.json``. The names of pictures
in them are always relative to the root.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segdistill.errors import RunFolderError
from segdistill.files import inside, real_path, write_whole
from segdistill.runs.documents import read_tree
from segdistill.runs.layout import ANALYSES, FORMAT


@dataclass(frozen=True)
class Analysis:
    """One file of an analysis.

    Attributes:
        pair: name of the pair, empty if there is only one.
        name: name of the analysis, such as ``images``.
        values: the results.
    """

    pair: str
    name: str
    values: Mapping[str, Any]


def analyses_root(folder: Path) -> Path:
    """Return the folder to which the names of pictures are relative.

    Raises:
        ValueError: it is a link that leads out of the folder.
    """
    return inside(folder, ANALYSES)


def write_analysis(folder: Path, analysis: Analysis) -> Path:
    """Write ``analyses/<pair>/NAME.json`` and return it.

    Args:
        folder: the study, cohort or run folder.
        analysis: the analysis, with names of pictures from :func:`name_picture`.
    """
    file = inside(analyses_root(folder), f"{analysis.pair}/{analysis.name}.json".lstrip("/"))
    file.parent.mkdir(parents=True, exist_ok=True)
    # Without indentation, which would put every number of an embedding on its own line.
    tree = {"format": FORMAT} | dict(analysis.values)
    write_whole(file, json.dumps(tree, allow_nan=False) + "\n", made_by="analyse")
    return file


def read_analyses(folder: Path) -> list[Analysis]:
    """Return all analyses of a folder, grouped by pair.

    Raises:
        RunFolderError: a file is broken.
    """
    root = analyses_root(folder)
    parents = [root, *sorted(path for path in root.glob("*/") if any(path.glob("*.json")))]
    return [
        Analysis("" if parent == root else parent.name, file.stem, read_tree(file))
        for parent in parents
        for file in sorted(parent.glob("*.json"))
    ]


def read_analysis(folder: Path, name: str, pair: str = "") -> Analysis | None:
    """Return one analysis, None if it does not exist; raises like :func:`read_analyses`."""
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
    """Return whether an analysis exists."""
    return (analyses_root(folder) / pair / f"{name}.json").is_file()


def remove_analyses(folder: Path) -> None:
    """Delete the analyses of a study whose runs have changed; pictures will be overwritten."""
    root = analyses_root(folder)
    for file in (*root.glob("*.json"), *root.glob("*/*.json")):
        file.unlink()


def picture_folder(folder: Path, kind: str, pair: str = "") -> Path:
    """Return the folder of an analysis's pictures, such as ``analyses/images/<pair>``."""
    return analyses_root(folder) / kind / pair


def name_picture(folder: Path, file: Path) -> str:
    """Return the name of a picture in the JSON files, relative to the root of the analyses."""
    return file.relative_to(analyses_root(folder)).as_posix()


def find_picture(folder: Path, name: str) -> Path:
    """Return the file of a picture by its name in a JSON file.

    Raises:
        RunFolderError: the name leads out of the analyses.
    """
    root = analyses_root(folder)
    file = root / name
    if not real_path(file).is_relative_to(real_path(root)):
        raise RunFolderError(
            f"{root}: expected pictures inside, got the name {name}, which leads out of it; "
            "do not trust this folder, or analyse it again"
        )
    return file
