"""The verbs: what each command does, as functions that print nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from segdistill import config as configs
from segdistill.catalogue import choices, load_configs
from segdistill.config import RunConfig
from segdistill.data.pictures import write_mask
from segdistill.data.reading import IMAGE_SUFFIXES, read_image
from segdistill.errors import ConfigError, DataError, RunFolderError
from segdistill.evaluation import Result, predict_logits
from segdistill.evaluation import evaluate as evaluate_network
from segdistill.export.cost import Cost, count
from segdistill.export.latency import Latency, measure
from segdistill.files import read_json, write_json
from segdistill.models import build_network
from segdistill.report import write_report, write_run_pictures
from segdistill.study.images import bootstrap_difference
from segdistill.study.verdict import points
from segdistill.training.build import flat, open_split
from segdistill.training.dry import try_cohort
from segdistill.training.events import Note, Tell, silent
from segdistill.training.run import run_cohort
from segdistill.types import Classes


def train(
    source: str | Path,
    out: str | Path | None = None,
    *,
    overrides: Sequence[str] = (),
    resume: bool = False,
    tell: Tell = silent,
) -> list[Path]:
    """Train the ``student`` of a config without a teacher: a teacher-to-be, or a baseline.

    Args:
        source: config file or name of a recipe; its ``teacher`` and ``distill`` are left out.
        out: run folder; ``runs/<recipe>-N`` by default.
        overrides: ``a.b=value`` words.
        resume: go on where an interrupted run stopped.
        tell: called with what happens.

    Returns:
        The run folders, one a learner.

    Raises:
        ConfigError, DataError, RunFolderError, TrainingDivergedError, ValueError: see
            :func:`segdistill.training.run.run_cohort`.
    """
    plain = {
        name: config.model_copy(update={"teacher": None, "distill": ()})
        for name, config in load_configs(source, overrides).items()
    }
    return _run(plain, source, out, resume=resume, tell=tell)


def distill(
    source: str | Path,
    out: str | Path | None = None,
    *,
    overrides: Sequence[str] = (),
    resume: bool = False,
    tell: Tell = silent,
) -> list[Path]:
    """Train a student, or a cohort of students, under a teacher.

    Args and errors as :func:`train`; also refuses a config in which nothing is distilled.
    """
    loaded = load_configs(source, overrides)
    if not any(config.distill for config in loaded.values()):
        raise ConfigError(
            f"{source}: expected at least one term under 'distill', got none; "
            "use segdistill train for a network without a teacher"
        )
    return _run(loaded, source, out, resume=resume, tell=tell)


def evaluate(
    run: str | Path,
    *,
    split: str | None = None,
    scales: Sequence[float] | None = None,
    flip: bool | None = None,
    overrides: Sequence[str] = (),
) -> Result:
    """Score the student of a run folder.

    Args:
        run: a run folder.
        split: of the run's dataset; the run's own by default.
        scales: averaged; the run's own by default.
        flip: also average the mirrored image; the run's own by default.
        overrides: ``a.b=value`` words on the run's config, such as ``data.root=…``.

    Raises:
        RunFolderError: the folder holds no finished run.
        ConfigError, DataError: from the overrides and the data.
    """
    loaded = load_run(run, overrides=overrides)
    settings = loaded.config.evaluation
    dataset = open_split(loaded.config.data, split or settings.split)
    return evaluate_network(
        loaded.network,
        dataset,
        precision=loaded.config.training.precision,
        scales=settings.scales if scales is None else tuple(scales),
        flip=settings.flip if flip is None else flip,
        window=settings.window,
    )


@dataclass(frozen=True)
class LoadedRun:
    """A run folder, read: its config, its student in eval mode, and what that predicts."""

    config: RunConfig
    network: nn.Module
    classes: Classes


def load_run(run: str | Path, *, overrides: Sequence[str] = ()) -> LoadedRun:
    """Read the config and the student of a run folder.

    Raises:
        RunFolderError: the folder holds no finished run.
        ConfigError: an override cannot be applied.
    """
    folder = Path(run)
    weights = folder / "model.safetensors"
    if not (folder / "resolved.yaml").exists() or not weights.exists():
        inside = sorted(path.parent.name for path in folder.glob("*/model.safetensors"))
        hint = f"; did you mean {folder / inside[0]}?" if inside else ""
        raise RunFolderError(f"{folder}: expected the folder of a finished run{hint}")
    tree = configs.override(configs.read_tree(folder / "resolved.yaml"), overrides)
    config = configs.check(tree, choices())
    settings = flat(config.student) | {"weights": weights}
    if "pretrained" in settings:
        settings["pretrained"] = False
    colors = read_json(folder / "result.json")["colors"]
    classes = Classes(tuple(colors), tuple((r, g, b) for r, g, b in colors.values()))
    return LoadedRun(config, build_network(settings, classes=len(classes)).eval(), classes)


def next_folder(source: str | Path) -> Path:
    """Return the first free ``runs/<recipe>-N``."""
    stem = Path(source).stem if Path(source).suffix else str(source).replace("/", "-")
    number = 1
    while Path("runs", f"{stem}-{number}").exists():
        number += 1
    return Path("runs", f"{stem}-{number}")


def _run(
    loaded: dict[str, RunConfig],
    source: str | Path,
    out: str | Path | None,
    *,
    resume: bool,
    tell: Tell,
) -> list[Path]:
    folder = next_folder(source) if out is None else Path(out)
    runs = run_cohort(loaded, folder, resume=resume, tell=tell)
    for run in runs:
        complete(run, tell=tell)
    write_report(runs, folder / "report.html", title=f"{folder.name}")
    return runs


def complete(run: Path, *, tell: Tell = silent) -> None:
    """Add the student's cost to a finished run's result, and draw its pictures and report.

    Cost is counted and timed at the size of the first scored image.
    """
    result = read_json(run / "result.json")
    if "params_m" not in result:
        loaded = load_run(run)
        dataset = open_split(loaded.config.data, loaded.config.evaluation.split)
        size = dataset[0].image.shape[:2]
        cost = count(loaded.network, size)
        latency = measure(loaded.network, size, threads=1)
        result |= {
            "params_m": cost.params_m,
            "gmacs": cost.gmacs,
            "gflops": cost.gflops,
            "latency_ms": latency.median_ms,
            "cost_size": list(size),
        }
        write_json(run / "result.json", result)
        write_run_pictures(run)
        write_report([run], run / "report.html", title=run.name)
        tell(Note(f"{run}: result, pictures and report written"))


def check(
    source: str | Path, *, overrides: Sequence[str] = (), tell: Tell = silent
) -> dict[str, RunConfig]:
    """Try a config before it is run: keys, data, networks, taps, and one training step.

    Every image and mask of both splits is read. Nothing is written.

    Returns:
        The checked configs, by learner.

    Raises:
        ConfigError, DataError, CheckpointError, ValueError: what would have stopped the run.
    """
    loaded = load_configs(source, overrides)
    try_cohort(loaded, tell=tell)
    return loaded


def predict(run: str | Path, images: Sequence[Path], out: Path) -> list[Path]:
    """Write the prediction for each image file, as a PNG in the classes' colours.

    Args:
        run: a run folder.
        images: image files, or folders of them.
        out: folder to write to; made where it is missing.

    Returns:
        The files written, ``<name>.png``.

    Raises:
        DataError: an image cannot be read, or two have one name.
        RunFolderError: the folder holds no finished run.
    """
    loaded = load_run(run)
    files = _find_images(images)
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for file in files:
        image = torch.from_numpy(read_image(file)).permute(2, 0, 1)[None]
        with torch.inference_mode():
            logits = predict_logits(loaded.network, image, size=(image.shape[2], image.shape[3]))
        target = out / f"{file.stem}.png"
        write_mask(target, logits.argmax(dim=1)[0].numpy(), loaded.classes)
        written.append(target)
    return written


def _find_images(sources: Sequence[Path]) -> list[Path]:
    files = []
    for source in sources:
        inside = sorted(source.iterdir()) if source.is_dir() else [source]
        files += [file for file in inside if file.suffix.lower() in IMAGE_SUFFIXES]
    if not files:
        raise DataError(f"predict: expected images, got none in {', '.join(map(str, sources))}")
    names = [file.stem for file in files]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"predict: expected different names, got {', '.join(twice)} twice")
    return files


def cost(
    source: str | Path, size: tuple[int, int], *, overrides: Sequence[str] = ()
) -> dict[str, Cost]:
    """Count parameters and arithmetic of a config's teacher and students.

    Args:
        source: config file or recipe; weights named in it are not read.
        size: height and width of the image.
        overrides: ``a.b=value`` words.

    Returns:
        Cost by ``teacher``, and ``student`` or the learners' names.
    """
    loaded = load_configs(source, overrides)
    first = next(iter(loaded.values()))
    classes = len(open_split(first.data, first.evaluation.split).classes)
    sections = {} if first.teacher is None else {"teacher": first.teacher}
    sections |= {name or "student": config.student for name, config in loaded.items()}
    return {
        name: count(build_network(flat(section) | {"weights": None}, classes=classes), size)
        for name, section in sections.items()
    }


def latency(
    run: str | Path, size: tuple[int, int], *, threads: int = 1, device: str = "cpu"
) -> list[Latency]:
    """Time the student of a run on one image, in float32 and in bfloat16.

    Args:
        run: a run folder.
        size: height and width of the image.
        threads: of torch, on a CPU.
        device: ``cpu`` or ``cuda``.
    """
    network = load_run(run).network.to(device)
    return [
        measure(network, size, threads=threads, precision=precision)
        for precision in ("fp32", "bf16")
    ]


@dataclass(frozen=True)
class Demo:
    """What the demo made: run folders, teacher first, and what the gains are worth."""

    runs: list[Path]
    notes: list[str]


def demo(out: Path, *, tell: Tell = silent) -> Demo:
    """Train a teacher and a cohort of three students on drawn scenes, and compare them.

    Args:
        out: folder of the runs and the report; finished parts are not run again.
        tell: called with what happens.
    """
    teacher = train("scenes/teacher", out / "teacher", resume=True, tell=tell)
    weights = f"teacher.weights={teacher[0] / 'model.safetensors'}"
    students = distill("scenes/students", out, overrides=[weights], resume=True, tell=tell)
    runs = [*teacher, *students]
    plain, *distilled = students
    notes = [image_noise(run, plain) for run in distilled]
    write_report(runs, out / "report.html", title="segdistill demo: drawn scenes", notes=notes)
    return Demo(runs, notes)


def image_noise(run: Path, baseline: Path) -> str:
    """Say whether two single runs differ by more than the choice of images explains.

    Args:
        run: a finished run.
        baseline: another on the same images.
    """
    counts = [np.load(folder / "confusion_images.npz")["counts"] for folder in (run, baseline)]
    gain = bootstrap_difference(*counts)
    told = "outside" if gain.excludes_zero() else "inside"
    return (
        f"{run.name} against {baseline.name}: {points(gain.estimate)} mIoU points, "
        f"{points(gain.low)} to {points(gain.high)} when the {len(counts[0])} images are drawn "
        f"again: {told} the noise of the images. It is one seed of each, and another seed often "
        "moves a student by more than distillation does: several paired seeds decide."
    )
