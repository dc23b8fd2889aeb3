"""Convert what an annotation tool exported into a plain folder."""

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
from segdistill.training.events import Progress, Tell, silent

_PACKAGE = "segdistill.data"
_FALLBACK = "masks"


@dataclass(frozen=True)
class Conversion:
    """What a conversion did.

    Attributes:
        format: a name of ``segdistill.catalogue.conversions.CONVERSIONS``.
        signs: by what it was recognised; empty where it was named.
        written: what was written, and what could not be.
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
    """Write images, masks of ids and class names from what a tool exported.

    The folder is read by ``data.dataset=folder``. An image that cannot be read, or whose
    annotation is broken, is in the result's ``broken``; the rest is written.

    Args:
        source: folder of the export; an archive has to be unpacked first.
        out: folder to make; convert may write again what it made.
        format: a name of ``CONVERSIONS``; recognised by its files if None.
        background: class of pixels that nobody labelled, made where the export has none;
            otherwise they are 255, no class.
        tell: called with the images done.

    Raises:
        ConfigError: there is no such format, or its package is not installed.
        OverwriteError: ``out`` is inside the export or holds files of others.
        DataError: the format is not recognised, nothing can be converted, or a dataset of its
            own reads the folder as it is.
    """
    if format is not None and format not in CONVERSIONS:
        raise ConfigError(f"convert: there is no format '{format}'; {nearest(format, CONVERSIONS)}")
    export, target = Export(Path(source)), Path(out)
    root = export.root.resolve()
    if target.resolve().is_relative_to(root) or root.is_relative_to(target.resolve()):
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
