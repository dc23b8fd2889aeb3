"""``segdistill choose``: which student to ship, as which file."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from segdistill.catalogue.formats import FORMATS
from segdistill.cli.words import Json, Trust, parse_latency, parse_size
from segdistill.errors import ConfigError

if TYPE_CHECKING:
    from segdistill.api.choose import Choice

    Format = str
else:
    Format = StrEnum("Format", {name: name for name in FORMATS})


def choose(
    sources: Annotated[
        list[str],
        typer.Argument(
            help="Run folders or folders of them, exported files, KEY=VALUE on the runs' configs.",
            metavar="RUNS_OR_FILES...",
        ),
    ],
    limit: Annotated[
        str | None,
        typer.Option("--latency", help="Time of an image that nine of ten passes keep: 20ms."),
    ] = None,
    formats: Annotated[
        list[Format] | None,
        typer.Option(
            "--runtime",
            help="Format to consider, several times for several; by default the files that the "
            "runs have, or onnx.",
        ),
    ] = None,
    size: Annotated[
        str | None, typer.Option(help="Size of the image, as in 512x1024; the runs' by default.")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads of the processor.")] = 1,
    passes: Annotated[int, typer.Option(min=5, help="Over the image, of each file.")] = 21,
    scored: Annotated[
        int | None, typer.Option(min=1, help="Validation images to score on; all by default.")
    ] = None,
    trust: Trust = None,
    json: Json = False,
) -> None:
    """Say which student to ship, as which file, with the evidence.

    Files are timed in turn and scored on the same images. Among those that keep the time, the
    cheapest is chosen whose mIoU cannot be told apart from the best.

    Example: segdistill choose runs/students --runtime onnx-int8 --latency 20ms
    """
    from json import dumps

    given = [Path(word) for word in sources if "=" not in word or Path(word).exists()]
    words = [word for word in sources if "=" in word and not Path(word).exists()]
    if not given:
        raise ConfigError("choose: expected run folders or exported files, got none; name some")
    limit_ms = None if limit is None else parse_latency(limit)
    at = None if size is None else parse_size(size)
    _check_sources(given, words, trust or [])
    from segdistill.api.choose import choose as verb
    from segdistill.cli.progress import display

    with display() as tell:
        choice = verb(
            given,
            limit_ms=limit_ms,
            formats=[str(name) for name in formats or ()],
            size=at,
            threads=threads,
            passes=passes,
            scored=scored,
            overrides=words,
            trust=trust or (),
            tell=tell,
        )
    if json:
        print(dumps(_as_json(choice)))
    else:
        _print(choice)


def _check_sources(given: list[Path], words: list[str], trust: list[str]) -> None:
    """Answer what is no run before torch is loaded."""
    from segdistill.catalogue.formats import is_exported
    from segdistill.training.finished_run import check_run, find_run, find_runs

    for path in given:
        if is_exported(path):
            if not path.is_file():
                raise FileNotFoundError(f"{path}: expected an exported file, got none")
            continue
        for run in find_runs(path):
            if find_run(run).has_config or words:
                check_run(run, words, trust)


def _as_json(choice: Choice) -> dict[str, Any]:
    from dataclasses import asdict

    document = asdict(choice)
    for one in document["candidates"]:
        one |= {key: None if one[key] is None else str(one[key]) for key in ("run", "file")}
    return document | {"chosen": choice.chosen.name, "equals": list(choice.verdict.equals)}


def _print(choice: Choice) -> None:
    from segdistill.cli.tables import print_table
    from segdistill.runs.result import BUSY

    verdict = choice.verdict
    timing = choice.chosen.timing
    print(
        f"mIoU on {choice.images} images with its 95 % interval; ms for one of "
        f"{choice.size[0]}x{choice.size[1]}, {timing.threads} "
        f"thread{'s' if timing.threads > 1 else ''}, tenth to ninetieth percentile"
    )
    rows = []
    for one in choice.candidates:
        miou = verdict.miou.get(one.name)
        rows.append(
            (
                one.name,
                "too slow" if miou is None else f"{100 * miou.estimate:.2f}",
                "" if miou is None else f"{100 * miou.low:.1f} to {100 * miou.high:.1f}",
                f"{one.timing.median_ms:.2f}",
                f"{one.timing.low_ms:.2f} to {one.timing.high_ms:.2f}",
                f"{one.mib:.2f}",
            )
        )
    print_table(["", "mIoU", "interval", "ms", "10 to 90 %", "MiB"], rows)
    for name, reason in choice.left_out.items():
        print(f"{name} is left out: {reason}")
    if (choice.others or 0.0) >= BUSY:
        print(
            f"the machine was busy: other programs took {100 * (choice.others or 0.0):.0f} % of "
            "its processors, so that times are too long; try again when it is idle"
        )
    for line in _reasons(choice):
        print(line)
    print(f"ship {verdict.chosen}")
    print(f"next: {choice.command}")


def _reasons(choice: Choice) -> list[str]:
    """Return why it is this one, a sentence a line."""
    from segdistill.studies.budget import told_apart, why_chosen

    verdict = choice.verdict
    lines = [*told_apart(verdict, verdict.behind), *why_chosen(verdict)]
    if verdict.behind:
        lines.append(
            "the intervals hold together, over images; whether one method beats another takes "
            "seeds: segdistill study"
        )
    return lines
