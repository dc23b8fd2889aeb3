"""``segdistill export``: a student as a file for other programs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from segdistill.catalogue.formats import FORMATS
from segdistill.cli.words import Json, Run, Trust, parse_size, trust_words
from segdistill.runs.layout import EXPORT
from segdistill.trust import program_name

if TYPE_CHECKING:
    from segdistill.api.export import Exported
    from segdistill.delivery.contract import Images, Output

    Format = str
else:
    Format = StrEnum("Format", {name: name for name in FORMATS})
    Images = Literal["float", "uint8"]
    Output = Literal["logits", "mask"]


def export(
    run: Run,
    overrides: Annotated[
        list[str] | None,
        typer.Argument(help="Settings of the run to change: data.root=…", metavar="KEY=VALUE"),
    ] = None,
    kinds: Annotated[
        list[Format] | None,
        typer.Option("--format", help="File format, see segdistill list formats; repeatable."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="File to write; by default student.* in the run folder."),
    ] = None,
    hub: Annotated[
        Path | None,
        typer.Option(
            help="Folder for a model hub: the files, the weights, and a card that describes them."
        ),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(help="Size for tracing, such as 512x1024; the file works with others too."),
    ] = None,
    static: Annotated[
        bool, typer.Option("--static", help="A file for single images of that size only.")
    ] = False,
    images: Annotated[
        Images, typer.Option("--input", help="RGB input of the file: in [0, 1], or 0 to 255.")
    ] = "float",
    output: Annotated[
        Output, typer.Option("--output", help="Output of the file, at the image's size.")
    ] = "logits",
    calibration: Annotated[
        int, typer.Option(min=1, help="Number of training images for calibrating INT8 formats.")
    ] = 64,
    scored: Annotated[
        int | None, typer.Option(min=1, help="Number of validation images to score; default all.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Keep a file that differs from the network.")
    ] = False,
    trust: Trust = None,
    json: Json = False,
) -> None:
    """Write a student as a file for other programs, compared with it.

    Example: segdistill export runs/student-1 --format onnx --out student.onnx

    Example: segdistill export runs/student-1 --format onnx --format onnx-int8 --hub handed-on

    Example: segdistill export runs/student-1 --format onnx-int8 --input uint8 --output mask
    """
    from json import dumps

    from segdistill.errors import ConfigError, FileRefusedError
    from segdistill.training.finished_run import check_run, find_run

    chosen = list(dict.fromkeys(map(str, kinds or ["onnx"])))
    if out is not None and hub is not None:
        raise ConfigError("export: expected --out or --hub, got both; leave one out")
    if out is not None and len(chosen) > 1:
        raise ConfigError(
            f"export: expected --out with a single format, got {len(chosen)} formats; leave it out "
            "to write them to the run folder"
        )
    traced = None if size is None else parse_size(size)
    if find_run(run).has_config or overrides:
        check_run(run, overrides or (), trust or ())
    from segdistill.api.export import export as verb
    from segdistill.api.hub import CARD, write_hub_folder
    from segdistill.cli.progress import display

    made: list[Exported] = []
    refused: list[str] = []
    for kind in chosen:
        try:
            with display() as tell:
                file = verb(
                    run,
                    out if hub is None else hub / f"{EXPORT}{FORMATS[kind].suffix}",
                    format=kind,
                    size=traced,
                    static=static,
                    images=images,
                    output=output,
                    calibration=calibration,
                    scored=scored,
                    force=force,
                    overrides=overrides or (),
                    trust=trust or (),
                    tell=tell,
                )
        except FileRefusedError as error:
            if len(chosen) == 1:
                raise
            refused.append(f"\n  {kind}: {error}")  # the other formats are still written
            continue
        made.append(file)
        if not json:
            _print(file)
    if hub is not None and made:
        write_hub_folder(hub, run, made)
    if json:
        documents = [_as_json(exported) for exported in made]
        print(dumps(documents[0] if len(chosen) == 1 else documents))
    elif hub is not None and made:
        print(f"weights and card are in {hub}\nnext: read {hub / CARD}, then push {hub}")
    elif made:
        first = made[0].file
        words = trust_words([program_name(first)] if FORMATS[made[0].format].code else [])
        print(" ".join([f"next: segdistill predict {first} PHOTOS --out masks", *words]))
    if refused:
        raise FileRefusedError(
            f"export: expected {len(chosen)} files, got {len(made)}:{''.join(refused)}"
        )


def _as_json(made: Exported) -> dict[str, Any]:
    from dataclasses import asdict

    document = asdict(made) | {"file": str(made.file)}
    if made.score is not None:
        document["score"]["loss_points"] = made.score.loss_points
    return document


def _print(made: Exported) -> None:
    print(f"{made.file} written, {made.mib:.2f} MiB; against the network:")
    for at_size in made.parity:
        far = at_size.largest_difference
        logits = "" if far is None else f"logits within {far:.2g}, "
        print(
            f"  {at_size.size[0]}x{at_size.size[1]}: {logits}"
            f"{100 * at_size.agreement:.3f} % of the pixels in the same class"
        )
    score = made.score
    if score is not None:
        print(
            f"  {score.images} images of {score.split}: mIoU {100 * score.miou:.2f}, the network's "
            f"{100 * score.network_miou:.2f}; {100 * score.agreement:.3f} % in the same class"
        )
    for threads, timings in made.timings.items():
        file, network = timings["file"], timings["network"]
        print(
            f"  {threads} thread{'s' if threads > 1 else ''}: {file.median_ms:.1f} ms per image "
            f"({file.low_ms:.1f} to {file.high_ms:.1f}), PyTorch {network.median_ms:.1f} ms"
        )
    if made.floating:
        print(f"  left in float32: {', '.join(made.floating)}")
    for fault in made.faults:
        print(f"  kept by --force: {fault}")
