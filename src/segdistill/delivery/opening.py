"""The format of a file, and opening it in its own runtime."""

from __future__ import annotations

from collections.abc import Collection
from importlib.util import find_spec
from pathlib import Path

from segdistill.catalogue.formats import FORMATS, Format
from segdistill.catalogue.tables import load
from segdistill.checks import nearest
from segdistill.delivery.contract import Contract, read_contract
from segdistill.delivery.opened import OpenedFile
from segdistill.errors import ConfigError, SegdistillError
from segdistill.trust import check_programs, program_name
from segdistill.types import Classes

PACKAGE = "segdistill.delivery"


def find_format(who: str, name: str) -> Format:
    """Return a format whose packages are installed.

    Args:
        who: first word of the message.
        name: a name in ``segdistill.catalogue.formats.FORMATS``.

    Raises:
        ConfigError: there is no such format, or a package is missing.
    """
    if name not in FORMATS:
        raise ConfigError(f"{who}: there is no format '{name}'; {nearest(name, FORMATS)}")
    row = FORMATS[name]
    missing = [package for package in row.packages if find_spec(package) is None]
    if missing:
        raise ConfigError(
            f"{who}: expected the packages {', '.join(row.packages)} for {name}, got no "
            f"{', '.join(missing)}; pip install 'segdistill[{row.extra}]'"
        )
    return row


def open_file(
    path: Path,
    format: str,
    *,
    classes: Classes | None = None,
    threads: int = 0,
    trust: Collection[str] = (),
) -> OpenedFile:
    """Open an exported file in its own runtime, as a network on the CPU.

    Args:
        path: the file.
        format: a name in ``segdistill.catalogue.formats.FORMATS``.
        classes: classes of another tool's file whose metadata do not list them; such a file is
            assumed to map float images in [0, 1] to logits.
        threads: number of threads, 0 for all.
        trust: ``file:`` targets that may run code when they are loaded.

    Raises:
        ConfigError: a package or the classes are missing, or the file is a program that is not
            trusted.
        FileNotFoundError: there is no such file.
        RunFolderError: the file's contract is broken, or of a later format.
        RuntimeRefusalError: the runtime cannot read the file.
    """
    row = find_format("open", format)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected an exported file, got none; check the path")
    companion = path.with_suffix(row.companion)
    if row.companion and not companion.is_file():
        raise SegdistillError(
            f"{path}: expected {companion.name} next to it, got none; copy both files"
        )
    if row.code:
        check_programs(program_name(path), trust, path)
    run, text = load(PACKAGE, row.opener)(path, threads)
    if text is not None:
        return OpenedFile(run, read_contract(text, path), path)
    if classes is None:
        raise ConfigError(
            f"{path}: expected a file with the names of its classes, got one of another tool; "
            "name them with --classes FILE"
        )
    return OpenedFile(run, Contract(classes=classes.names, colors=classes.colors), path)
