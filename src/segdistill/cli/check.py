"""``segdistill check``: try out a config, or describe its data, before training."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from segdistill.cli.words import Config, Json, Overrides, Trust, check_config
from segdistill.errors import ConfigError

if TYPE_CHECKING:
    from segdistill.data.data_report import DataReport, SplitReport


def check(
    config: Config,
    overrides: Overrides = None,
    data: Annotated[
        bool, typer.Option("--data", help="Describe the data instead: sizes, classes, duplicates.")
    ] = False,
    sheet: Annotated[
        Path | None,
        typer.Option("--sheet", help="With --data: draw images with their masks to this file."),
    ] = None,
    allow_weak_teacher: Annotated[
        bool,
        typer.Option("--allow-weak-teacher", help="Accept a teacher no better than chance."),
    ] = False,
    waive: Annotated[
        list[str] | None,
        typer.Option("--waive", help="With check loss: a check that need not hold; repeatable."),
    ] = None,
    trust: Trust = None,
    json: Json = False,
) -> None:
    """Try out a config before training.

    Every key and file, the networks and their taps, one training step and scoring at each image
    size are tried, and the teacher is scored on a few images. With --data, the images and masks
    are described instead. The exit code is 1 if training would fail.

    "check loss NAME" tests your own loss against the contract of losses. NAME is FILE.py:NAME or
    import:package.module:NAME, followed by its settings as KEY=VALUE.

    Example: segdistill check camvid/students data.root=camvid --data
    """
    if config == "loss":
        from segdistill.cli.check_loss import check_loss

        check_loss(overrides or (), waive or ())
        return
    if waive:
        raise ConfigError("check: expected --waive only with check loss; leave it out")
    if (sheet is not None or json) and not data:
        raise ConfigError("check: expected --data together with --sheet or --json; add it")
    checked = check_config(config, overrides, trust)
    from segdistill.api import check as api
    from segdistill.cli.progress import display

    words = overrides or []
    if not data:
        with display() as tell:
            learners = api.check(checked, weak_teacher=allow_weak_teacher, tell=tell)
        verb = "distill" if any(learner.distill for learner in learners.values()) else "train"
        print(f"all checks passed; next: {shlex.join(['segdistill', verb, config, *words])}")
        return
    with display() as tell:
        report = api.check_data(checked, tell=tell)
    _print_report(report, as_json=json)
    if sheet is not None:
        api.draw_sheet(checked, sheet)
        if not json:
            print(f"{sheet} written")
    if report.faults:
        raise typer.Exit(1)
    if not json:
        print(f"next: {shlex.join(['segdistill', 'check', config, *words])}")


def _print_report(report: DataReport, *, as_json: bool) -> None:
    if as_json:
        from json import dumps

        print(dumps(report.as_json()))
        return
    for name, split in report.splits.items():
        _print_split(name, split)
    for line in report.classes:
        print(line)
    for warning in report.warnings:
        print(f"warning: {warning}")
    for fault in report.faults:
        print(f"fault: {fault}")
    print(f"{len(report.faults)} faults, {len(report.warnings)} warnings")


def _print_split(name: str, split: SplitReport) -> None:
    sizes = [f"{count} of {size}" for size, count in list(split.sizes.items())[:4]]
    print(f"{name}: {split.images} images ({', '.join(sizes) or 'none read'})")
    if not split.sizes:
        return
    mean, std = (", ".join(f"{v:.3f}" for v in values) for values in (split.mean, split.std))
    print(f"  mean {mean}; standard deviation {std}")
    total = max(1, sum(split.pixels.values()) + split.ignored_pixels)
    width = max(map(len, [*split.pixels, "no class"]))
    for label, pixels in split.pixels.items():
        share = f"{100 * pixels / total:6.2f} %"
        print(f"  {label.ljust(width)} {share} of pixels, in {split.images_with[label]} images")
    print(f"  {'no class'.ljust(width)} {100 * split.ignored_pixels / total:6.2f} % of pixels")
