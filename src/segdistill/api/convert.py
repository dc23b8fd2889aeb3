"""Convert: an annotation tool's export as a plain folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from segdistill.catalogue.conversions import CONVERSIONS
from segdistill.catalogue.tables import load
from segdistill.checks import nearest
from segdistill.data.convert.detection import detect
from segdistill.data.convert.export import Export
from segdistill.data.convert.published import refuse_published
from segdistill.data.convert.records import UNEXPECTED
from segdistill.data.convert.writing import Written, write_source
from segdistill.errors import ConfigError, DataError, OverwriteError
from segdistill.files import real_path
from segdistill.training.events import Progress, Tell, silent

_PACKAGE = "segdistill.data"
_FALLBACK = "masks"


@dataclass(frozen=True)
class Conversion:
    """The outcome of a conversion.

    Attributes:
        format: a name in ``segdistill.catalogue.conversions.CONVERSIONS``.
        signs: how the format was recognised; empty if it was given.
        written: what was written, and what could not be written.
    """

    format: str
    signs: str
    written: Written


def convert(
    source: str | Path,
    out: str | Path,
    *,
    format: str | None = None,
    background: str | None = None,
    tell: Tell = silent,
) -> Conversion:
    """Write images, masks of class ids and class names from an annotation tool's export.

    The folder is read with ``data.dataset=folder``. Images that cannot be read or have a broken
    annotation are listed in the result's ``broken``; all others are written.

    Example::

        segdistill.convert("export", "photos").written.broken

    Args:
        source: folder of the export; archives have to be unpacked first.
        out: folder to make; files from an earlier conversion may be overwritten.
        format: a name in ``CONVERSIONS``; recognised by the files if None.
        background: class for unlabelled pixels, added if the export has none; without it these
            pixels become 255 (ignored).
        tell: called with progress.

    Raises:
        ConfigError: there is no such format, or its package is not installed.
        OverwriteError: ``out`` is inside the export or contains other files.
        DataError: the format is not recognised, nothing can be converted, or the folder can be
            read directly as another dataset.
    """
    if format is not None and format not in CONVERSIONS:
        raise ConfigError(f"convert: there is no format '{format}'; {nearest(format, CONVERSIONS)}")
    export, target = Export(Path(source)), Path(out)
    root, out_of = real_path(export.root), real_path(target)
    if out_of.is_relative_to(root) or root.is_relative_to(out_of):
        raise OverwriteError(
            f"convert: expected a folder outside of {export.root}, got {out}; choose another --out"
        )
    if format is None:
        refuse_published("convert", export)
    signs = "" if format is not None else detect(export)
    name = format or (signs.partition(": ")[0] if signs else _FALLBACK)
    try:
        opened = load(_PACKAGE, CONVERSIONS[name].target)(export, background)
    except UNEXPECTED as error:
        raise DataError(
            f"{export.root}: expected the files of {name}, got other content "
            f"({type(error).__name__}: {error}); name another format with --from"
        ) from error

    def progress(done: int, total: int) -> None:
        tell(Progress("converting", done, total, {}))

    return Conversion(name, signs, write_source(opened, target, progress=progress))
