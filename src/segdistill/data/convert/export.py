"""A folder that a tool exported: its files, found once, and its JSON, parsed once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from segdistill.data.convert.splits import usual_split
from segdistill.data.files.reading import IMAGE_SUFFIXES
from segdistill.data.files.scanning import visible_entries
from segdistill.errors import DataError
from segdistill.files import check_ends
from segdistill.json_text import load_json

_PASSED_OVER = {"__MACOSX"}


class Export:
    """The files below a folder; hidden ones are passed over, links to folders followed.

    Args:
        root: the folder.

    Raises:
        DataError: there is no such folder.
    """

    def __init__(self, root: Path) -> None:
        if root.is_file():
            raise DataError(f"{root}: expected a folder, got a file; unpack an archive first")
        if not root.is_dir():
            raise DataError(f"{root}: expected a folder, got nothing; check the path")
        self.root = root
        self._parsed: dict[Path, Any] = {}

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """All files, relative to the root, sorted."""
        return tuple(sorted(path.relative_to(self.root) for path in _below(self.root)))

    @cached_property
    def images(self) -> tuple[Path, ...]:
        """The files whose extension is that of an image."""
        return tuple(file for file in self.files if file.suffix.lower() in IMAGE_SUFFIXES)

    def of(self, *suffixes: str) -> list[Path]:
        """Return the files with one of these extensions, lower case with the dot."""
        return [file for file in self.files if file.suffix.lower() in suffixes]

    def named(self, *names: str) -> list[Path]:
        """Return the files with one of these names, in any case, those nearest the root first."""
        lower = {name.lower() for name in names}
        chosen = [file for file in self.files if file.name.lower() in lower]
        return sorted(chosen, key=lambda file: (len(file.parts), file))

    def json(self, file: Path) -> Any:
        """Return the content of a JSON file, or None if it is none."""
        if file not in self._parsed:
            try:
                check_ends(self.root / file)
                content = (self.root / file).read_text(encoding="utf-8-sig")
                self._parsed[file] = load_json(content)
            except (OSError, ValueError):
                self._parsed[file] = None
        return self._parsed[file]

    def find_image(self, written: str, near: Path = Path()) -> Path:
        """Find the image that an annotation names.

        Args:
            written: as the annotation has it: a path of any system, perhaps of another
                computer, or an address.
            near: folder of the annotation, relative to the root; searched first.

        Returns:
            The image, relative to the root.

        Raises:
            DataError: no file below the root has that name, or several have.
        """
        words = PurePosixPath(PureWindowsPath(written).as_posix().split("?")[0])
        beside = Path(os.path.normpath(near / words))
        if beside in self._image_set:
            return beside
        candidates = self._by_name.get(words.name, [])
        for length in range(2, len(words.parts) + 1):
            if len(candidates) > 1:
                end = words.parts[-length:]
                candidates = [
                    file for file in candidates if file.parts[-length:] == end
                ] or candidates
        inside = (
            [file for file in candidates if file.parent.is_relative_to(near)] if near.name else []
        )
        candidates = inside if len(candidates) > 1 and len(inside) == 1 else candidates
        if len(candidates) == 1:
            return candidates[0]
        got = "none" if not candidates else ", ".join(map(str, candidates[:3]))
        raise DataError(f"expected one image {words.name} below {self.root}, got {got}")

    @cached_property
    def _image_set(self) -> frozenset[Path]:
        return frozenset(self.images)

    @cached_property
    def _by_name(self) -> dict[str, list[Path]]:
        named: dict[str, list[Path]] = {}
        for file in self.images:
            named.setdefault(file.name, []).append(file)
        return named


def record_name(written: str, image: Path) -> str:
    """Return what a record is called: the path that an annotation gives, if it is a plain one.

    Args:
        written: as the annotation has it.
        image: the file that was found for it; its own name is taken where the path is that of
            another computer, or an address.
    """
    path = PurePosixPath(written)
    plain = not path.is_absolute() and not {"..", ":", "\\"} & {*path.parts, *written}
    parts = [part for part in path.parts[:-1] if not usual_split(part)] if plain else []
    return "/".join([*parts, path.stem if plain else image.stem])


def split_of(file: Path) -> str:
    """Return train, val or test where a folder of a path says so, the deepest first, else ""."""
    return next(filter(None, (usual_split(part) for part in reversed(file.parent.parts))), "")


def name_below_split(file: Path) -> str:
    """Return a path without extension, below the deepest folder that says a split, if any."""
    parts = file.with_suffix("").parts
    places = [place for place, part in enumerate(parts[:-1]) if usual_split(part)]
    return "/".join(parts[places[-1] + 1 :] if places else parts)


def _below(folder: Path, above: frozenset[str] = frozenset()) -> Iterator[Path]:
    real = os.path.realpath(folder)
    if real in above:
        return
    for entry in visible_entries(folder):
        if entry.is_dir():
            if entry.name not in _PASSED_OVER:
                yield from _below(folder / entry.name, above | {real})
        elif entry.is_file():
            yield folder / entry.name
