"""``segdistill analyse``: analyse the networks of finished runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from segdistill.cli.words import Json, Trust
from segdistill.errors import ConfigError


def analyse(
    folders: Annotated[
        list[str],
        typer.Argument(
            help="A study, a cohort or run folders; then KEY=VALUE to change the runs' configs.",
            metavar="FOLDER",
        ),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", help="Write to OUT/analyses; by default in the folder.")
    ] = None,
    own: Annotated[
        list[str] | None,
        typer.Option(
            "--own",
            help="Your own analysis, import:package.module:function; repeatable.",
            metavar="TARGET",
        ),
    ] = None,
    layers: Annotated[
        list[str] | None,
        typer.Option(
            "--layer", help="Tap or module path to plot activations of; default backbone."
        ),
    ] = None,
    trust: Trust = None,
    json: Json = False,
) -> None:
    """Analyse teacher and students like the papers' figures.

    Entropy of the teacher, embeddings, affinities, activations, critics' scores, and the images
    that differ most; for a study, of each pair's first seed. The report shows the results.

    Example: segdistill analyse runs/camvid-students-1 --layer backbone --layer head
    """
    from json import dumps

    from segdistill.analysis.compared import find_compared

    words = [word for word in folders if "=" in word and not Path(word).exists()]
    sources = [Path(word) for word in folders if word not in words]
    if not sources:
        raise ConfigError("analyse: expected a study, a cohort or a run folder, got none")
    source = sources[0] if len(sources) == 1 else sources
    find_compared(source, overrides=words, trust=trust or ())
    from segdistill.analysis.opened import AnalysisSettings
    from segdistill.api.analyse import analyse as verb
    from segdistill.cli.progress import display

    settings = AnalysisSettings(layers=tuple(layers)) if layers else AnalysisSettings()
    with display() as tell:
        written = verb(
            source,
            out,
            overrides=words,
            trust=trust or (),
            settings=settings,
            own=own or (),
            tell=tell,
        )
    if json:
        print(dumps([str(file) for file in written]))
        return
    for file in written:
        print(file)
    print(f"next: segdistill report {' '.join(map(str, sources))}")
