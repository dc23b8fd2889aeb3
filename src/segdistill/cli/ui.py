"""``segdistill ui``: a page to look at what models predict."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from segdistill.cli.words import Trust


def ui(
    models: Annotated[
        list[Path],
        typer.Argument(
            help="Run folders and exported files: teacher, plain, distilled.",
            metavar="RUNS_OR_FILES...",
        ),
    ],
    port: Annotated[int, typer.Option(min=0, max=65535, help="To listen at; 0 for any.")] = 8765,
    host: Annotated[
        str, typer.Option(help="Address to listen at; another lets everybody in who reaches it.")
    ] = "127.0.0.1",
    most_mib: Annotated[
        float, typer.Option("--max-mib", min=0.1, help="Largest file that the page takes.")
    ] = 32.0,
    most_megapixels: Annotated[
        float, typer.Option("--max-megapixels", min=0.01, help="Largest image that it takes.")
    ] = 24.0,
    trust: Trust = None,
) -> None:
    """Show on a page what several models see in an image.

    The page is served to this machine alone, asks nothing of the network, and writes nothing.

    Example: segdistill ui runs/teacher runs/students/plain runs/students/kl
    """
    from segdistill.catalogue.formats import is_exported
    from segdistill.training.finished_run import find_run

    for model in models:
        if not is_exported(model):
            find_run(model)
    from segdistill.api.ui import ui as verb

    verb(
        models,
        host=host,
        port=port,
        most_mib=most_mib,
        most_megapixels=most_megapixels,
        trust=trust or (),
        begun=lambda address: print(f"{address}  (Ctrl-C ends it)", flush=True),
    )
