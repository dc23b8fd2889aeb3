"""Export: a trained student as a file for other programs, tested in its own runtime."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from torch import nn

from segdistill.api.calibration import as_tensor, read_calibration
from segdistill.catalogue.formats import Format
from segdistill.catalogue.tables import load
from segdistill.classes import NamedClassMap
from segdistill.config import EvaluationConfig, RunConfig
from segdistill.data.carving import Subset
from segdistill.delivery.contract import Contract, Images, Output
from segdistill.delivery.fallback import Layers
from segdistill.delivery.gate import Score, Timing, Tolerance, faults, score_beside, time_beside
from segdistill.delivery.opened import OpenedFile
from segdistill.delivery.opening import PACKAGE, find_format, open_file
from segdistill.delivery.parity import Parity, compare, other_sizes
from segdistill.errors import ConfigError, DataError, FileRefusedError
from segdistill.files import claim, move_whole, temporary_folder
from segdistill.runs.confusion import read_image_counts
from segdistill.runs.layout import EXPORT
from segdistill.runs.result import has_result, read_result
from segdistill.studies.bootstrap import bootstrap_miou
from segdistill.threads import count_free_cores
from segdistill.training.build import open_split
from segdistill.training.events import Note, Progress, Tell, silent
from segdistill.training.finished_run import CheckedRun, RunFiles, check_run, find_run
from segdistill.training.trained_student import load_student
from segdistill.trust import program_name
from segdistill.types import SegDataset

_OR_STATIC = "; --static writes a file for one image size, which may work"
_NOTED_POINTS = 0.5  # more than rounding and fewer views change
_OR_MULTIPLE = "; a --size of multiples of 32 may work, because converters round others differently"


@dataclass(frozen=True)
class Exported:
    """A file that was written, and how it compares with the network in its own runtime.

    Attributes:
        file: the file; a companion file is next to it.
        format: a name in ``segdistill.catalogue.formats.FORMATS``.
        mib: size of the file and its companion.
        parity: comparison with the network at the traced size and, unless static, three others.
        score: score on the validation images; None if the run's data are not available.
        timings: timings of ``network`` and ``file``, by number of threads.
        floating: layers that a quantised file computes in float32.
        faults: failed tests despite which the file was kept.
    """

    file: Path
    format: str
    mib: float
    parity: tuple[Parity, ...]
    score: Score | None = None
    timings: Mapping[int, Mapping[str, Timing]] = field(default_factory=dict)
    floating: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()


def export(
    run: str | Path | CheckedRun,
    out: str | Path | None = None,
    *,
    format: str = "onnx",
    size: tuple[int, int] | None = None,
    static: bool = False,
    images: Images = "float",
    output: Output = "logits",
    calibration: int = 64,
    scored: int | None = None,
    force: bool = False,
    overrides: Sequence[str] = (),
    trust: Sequence[str] = (),
    tell: Tell = silent,
) -> Exported:
    """Write the student of a run for other programs, and test the file.

    The file and the network are run side by side, at four image sizes and on the validation
    images of the run. The file is kept only if it meets the requirements of its format.

    Example::

        segdistill.export("runs/student-1", "student.onnx").score

    Args:
        run: a run folder, a safetensors file written by a run, or a result of
            ``training.finished_run.check_run``.
        out: file to write; by default ``student`` with the format's suffix in the run folder.
        format: a name in ``segdistill.catalogue.formats.FORMATS``.
        size: height and width for tracing; the file works with others too. By default the
            size for which the run's cost was counted, or 256x256.
        static: write a file for single images of that size only, as some formats always do.
        images: input of the file: ``float`` in [0, 1], or ``uint8``.
        output: output of the file: ``logits`` at the image's size, or a uint8 ``mask``.
        calibration: number of training images for calibrating a quantised format.
        scored: number of validation images to score; by default all.
        force: keep a file that fails a test.
        overrides: overrides ``a.b=value`` of the run's config, such as ``data.root=…``; with
            ``student.class_map=[car, null, sky]`` the file has the classes of the run's data.
        trust: ``import:`` and ``file:`` targets that files may name; see
            :mod:`segdistill.trust`.
        tell: called with progress, and with what could not be done.

    Returns:
        The file and its comparison with the network.

    Raises:
        ConfigError: there is no such format, it does not support the request, or a package that
            it needs is not installed.
        DataError: there are no training images for calibrating a quantised format.
        OverwriteError: the file exists and was not written by export.
        RunFolderError: the folder contains no finished run.
        FileRefusedError: the file differs too much from the network; it has been removed.
        ValueError: torch cannot export the network.
    """
    row = find_format("export", format)
    files = run.files if isinstance(run, CheckedRun) else find_run(run)
    targets = _targets(files.folder / f"{EXPORT}{row.suffix}" if out is None else Path(out), row)
    claim("export", targets)
    config: RunConfig | None = None
    class_map: NamedClassMap | None = None
    if files.has_config or overrides:
        checked = check_run(run, overrides, trust)
        config, trust, class_map = checked.config, checked.trust, checked.class_map
    validation = open_validation(config, scored, tell)
    student = load_student(
        files.weights,
        trust=trust,
        data_classes=None if validation is None else validation.classes,
        class_map=class_map,
    )
    network, traced = student.network, size or cost_size(files.folder)
    if not static and not row.any_size:
        static = True
        tell(Note(f"{format}: the file takes images of {traced[0]}x{traced[1]}, see --size"))
    contract = Contract(
        classes=student.classes.names,
        colors=student.classes.colors,
        images=images,
        output=output,
        size=traced if static else None,
        provenance=_provenance(files, config),
    )
    views = views_of(config)
    with _drafts(targets) as (draft, *_):
        write = load(PACKAGE, row.target)
        layers = None
        if row.calibrated:
            seen = read_calibration(
                _open_training(format, config), calibration, traced, images=images
            )

            def holds(path: Path) -> bool:
                beside = score_beside(
                    network, _open(path, format), seen.held, split="train", **views
                )
                return not faults(Tolerance(loss_points=row.loss_points), (), beside)

            layers = write(network, draft, traced, contract, seen.images, holds)
        else:
            write(network, draft, traced, contract)
        file = _open(draft, format)
        sizes = (traced,) if static else (traced, *other_sizes(traced))
        picture = None if validation is None else as_tensor(validation, 0)
        parity = tuple(compare(network, file, sizes, image=picture))
        score = None
        if validation is not None and config is not None and not any(at.failure for at in parity):
            total = 2 * len(validation)
            score = score_beside(
                network,
                file,
                validation,
                split=config.evaluation.split,
                on_image=lambda done: tell(Progress("scoring", done, total, {})),
                **views,
            )
            if static and scored is None:
                _tell_of_size(format, traced, score, files.folder, tell)
        failed = tuple(
            faults(Tolerance(row.largest_difference, row.agreement, row.loss_points), parity, score)
        )
        if failed and not force:
            answer = _answer(row, parity, static)
            raise FileRefusedError(
                f"export: expected a file that agrees with the network, got "
                f"{'; '.join(failed)}{_layers(layers)}; nothing was written{answer}"
                "; --force keeps it"
            )
        timings = {} if any(at.failure for at in parity) else _time(network, draft, format, traced)
    return Exported(
        file=targets[0],
        format=format,
        mib=sum(target.stat().st_size for target in targets) / 2**20,
        parity=parity,
        score=score,
        timings=timings,
        floating=layers.floating if layers else (),
        faults=failed,
    )


def _targets(target: Path, row: Format) -> list[Path]:
    ending = f".{row.suffix.rpartition('.')[2]}"
    if row.companion and target.suffix != ending:
        raise ConfigError(f"export: expected the name of a {ending} file, got {target.name}")
    return [target, *([target.with_suffix(row.companion)] if row.companion else [])]


@contextmanager
def _drafts(targets: Sequence[Path]) -> Iterator[list[Path]]:
    """Yield temporary files, which get their final names on success and are removed otherwise."""
    targets[0].parent.mkdir(parents=True, exist_ok=True)
    with temporary_folder(targets[0]) as folder:
        drafts = [folder / target.name for target in targets]
        yield drafts
        for draft, target in zip(drafts, targets, strict=True):
            move_whole(draft, target, made_by="export")


def open_validation(config: RunConfig | None, scored: int | None, tell: Tell) -> SegDataset | None:
    """Open the images on which the run was scored; None, with a note, if not available."""
    if config is None:
        tell(Note("weights without their run: the file is compared on noise instead of scored"))
        return None
    try:
        dataset = open_split(config.data, config.evaluation.split)
    except DataError as error:
        tell(Note(f"the file is compared on noise instead of scored: {error}"))
        return None
    if scored is None or scored >= len(dataset):
        return dataset
    return Subset(dataset, [number * len(dataset) // scored for number in range(scored)])


def _open_training(format: str, config: RunConfig | None) -> SegDataset:
    if config is None:
        raise DataError(
            f"export: expected a run folder for {format}, which is calibrated on the run's "
            "training images, got only weights; give the folder"
        )
    return open_split(config.data, config.data.train_split)


def views_of(config: RunConfig | None) -> dict[str, Any]:
    """Return the scales and the window with which the run was scored."""
    settings = EvaluationConfig() if config is None else config.evaluation
    return {"scales": settings.scales, "window": settings.window}


def _open(draft: Path, format: str, threads: int = 0) -> OpenedFile:
    """Open a file that was written a moment ago, and so is trusted."""
    return open_file(draft, format, threads=threads, trust=[program_name(draft)])


def _time(
    network: nn.Module, draft: Path, format: str, size: tuple[int, int]
) -> dict[int, dict[str, Timing]]:
    """Time the file and the network, on one thread and on all."""
    return {
        threads: time_beside(
            {"network": network, "file": _open(draft, format, threads)},
            size,
            threads=threads,
        )
        for threads in dict.fromkeys((1, count_free_cores()))
    }


def _tell_of_size(
    format: str, size: tuple[int, int], score: Score, folder: Path, tell: Tell
) -> None:
    """Say what the file's only image size costs the network, whose score beside it hides that."""
    if not has_result(folder) or (result := read_result(folder)).split != score.split:
        return
    if 100 * (result.miou - score.network_miou) > _NOTED_POINTS:
        tell(
            Note(
                f"{format}: on images of {size[0]}x{size[1]} the network itself has a mIoU of "
                f"{100 * score.network_miou:.2f}, and {100 * result.miou:.2f} as its run was "
                "scored; a --size nearer to that may keep it"
            )
        )


def _answer(row: Format, parity: Sequence[Parity], static: bool) -> str:
    """Return what else may work for a file that was refused."""
    if not row.any_size and any(side % 32 for at in parity for side in at.size):
        return _OR_MULTIPLE
    return _OR_STATIC if any(at.failure for at in parity) and not static else ""


def _layers(layers: Layers | None) -> str:
    """Return how many layers of a quantised file are in float32, and which were to be first."""
    if layers is None:
        return ""
    kept = f"{len(layers.floating)} layers left in float32" if layers.floating else ""
    first = f" (the first to leave in float32: {', '.join(layers.order[:3])})"
    return f", with {kept or 'every layer in 8 bits'}{first if layers.order else ''}"


def cost_size(folder: Path) -> tuple[int, int]:
    """Return the size that a run's cost was counted at, 256x256 where it was not."""
    cost = read_result(folder).cost if has_result(folder) else None
    return (256, 256) if cost is None or cost.cost_size is None else cost.cost_size


def _provenance(files: RunFiles, config: RunConfig | None) -> dict[str, Any]:
    """Return the origin of a student for the file's metadata."""
    made: dict[str, Any] = {"segdistill": version("segdistill"), "run": files.name}
    if config is not None:
        made["dataset"] = config.data.dataset
        made["teacher"] = None if config.teacher is None else config.teacher.network
    if has_result(files.folder):
        result = read_result(files.folder)
        made |= {
            "method": result.method,
            "split": result.split,
            "miou": result.miou,
            "config_hash": result.config_hash,
        }
        images = read_image_counts(files.folder)
        if images is not None:
            interval = bootstrap_miou(images.counts)
            made["miou_interval"] = [interval.low, interval.high]
    return made
