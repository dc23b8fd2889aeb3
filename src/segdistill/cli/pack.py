"""``segdistill pack``: a copy of a dataset from which crops are read fast."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from segdistill.checks import nearest
from segdistill.errors import ConfigError


def pack(
    dataset: Annotated[str, typer.Argument(help="A dataset: segdistill list datasets.")],
    settings: Annotated[
        list[str] | None,
        typer.Argument(help="Its settings, such as root=camvid.", metavar="KEY=VALUE"),
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder to make.")] = Path("packed"),
    splits: Annotated[str, typer.Option(help="Splits to pack, comma-separated.")] = "train,val",
    compress: Annotated[
        bool, typer.Option("--compress", help="Lossless tiles: half the size, slower crops.")
    ] = False,
) -> None:
    """Write a copy of a dataset from which crops are read fast.

    The copy takes 4 bytes per pixel; use it as data.root instead of the original.

    Example: segdistill pack cityscapes root=cityscapes --out packed/cityscapes
    """
    from segdistill.catalogue.datasets import DATASETS

    if dataset not in DATASETS:
        raise ConfigError(f"pack: there is no dataset '{dataset}'; {nearest(dataset, DATASETS)}")
    from segdistill.api.pack import pack as verb
    from segdistill.cli.progress import display

    with display() as tell:
        verb(
            dataset,
            out,
            splits=splits.split(","),
            settings=settings or (),
            compress=compress,
            tell=tell,
        )
    size = sum(file.stat().st_size for file in out.iterdir()) / 2**20
    print(f"{out} written, {size:.0f} MiB")
    same = [f"data.{word}" for word in settings or () if not word.startswith("root=")]
    words = shlex.join([f"data.dataset={dataset}", *same, f"data.root={out}"])
    print(f"next: segdistill check CONFIG {words}")
