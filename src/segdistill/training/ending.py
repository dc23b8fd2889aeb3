"""The end of a run: the student scored and written, with pictures and ``result.json``."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from lightning_fabric import Fabric

from segdistill.data import Stream
from segdistill.data.pictures import write_image, write_mask
from segdistill.files import inside, write_json, write_whole
from segdistill.memory import peak_memory_mib
from segdistill.scoring.evaluator import OnImage, Result, evaluate
from segdistill.training.build import Data, save_student
from segdistill.training.energy import EnergyMeter
from segdistill.training.events import Evaluated, Tell
from segdistill.training.ongoing import Run
from segdistill.types import Sample, SegDataset

MOST_COUNTS_MIB = 64  # 101 images of 11 classes take 0.1, 2000 of 150 would take 343


def finish(run: Run, data: Data, fabric: Fabric, tell: Tell) -> None:
    """Score a trained learner and write its student, pictures and ``result.json``, that last."""
    classes = data.train.classes
    shown = _spread(len(data.evaluation), run.config.evaluation.pictures)

    pictures = inside(run.folder, "predictions")
    pictures.mkdir(exist_ok=True)

    def keep(index: int, sample: Sample, prediction: np.ndarray) -> None:
        if index in shown and sample.mask is not None:
            write_image(inside(pictures, f"{sample.name}_input.jpg"), sample.image)
            write_mask(inside(pictures, f"{sample.name}_truth.png"), sample.mask, classes)
            write_mask(inside(pictures, f"{sample.name}_prediction.png"), prediction, classes)

    result = evaluate_run(run, data, fabric, on_image=keep)
    if result.image_counts is not None:
        _write_image_counts(run.folder / "confusion_images.npz", result)
    save_student(run.folder / "model.safetensors", run.learner.result, run.config, classes)
    write_json(run.folder / "confusion.json", result.confusion_as_dict())
    config = run.config
    values = result.as_dict() | {
        "name": run.learner.name or run.folder.name,
        "method": "+".join(term.loss for term in config.distill) or "plain",
        "split": config.evaluation.split,
        "step": config.training.steps,
        "steps": config.training.steps,
        **run.cost(),
        "energy_source": EnergyMeter(fabric.device).source,
        "evaluation_seconds": result.seconds,
        "peak_memory_mib": peak_memory_mib(fabric.device),
        "best": run.best or None,
        "skipped_images": sorted(_skipped(data.stream)),
        "config_hash": config.hash(),
        "seed": config.training.seed,
        "data_seed": config.data.seed,
    }
    write_json(run.folder / "result.json", values)
    run.log.close()
    split = config.evaluation.split
    tell(Evaluated(run.learner.name, config.training.steps, split, result.scores.miou))


def evaluate_run(
    run: Run, data: Data, fabric: Fabric, *, on_image: OnImage | None = None
) -> Result:
    """Score a learner as its config says; per image only where somebody looks at images."""
    settings = run.config.evaluation
    return evaluate(
        run.learner.result,
        data.evaluation,
        device=fabric.device,
        precision=run.config.training.precision,
        scales=settings.scales,
        flip=settings.flip,
        window=settings.window,
        on_image=on_image,
        keep_images=on_image is not None and _counts_mib(data.evaluation) < MOST_COUNTS_MIB,
    )


def _write_image_counts(file: Path, result: Result) -> None:
    """Write the confusion matrix of each image: arrays ``counts`` (N, K, K) and ``names``."""
    buffer = io.BytesIO()
    counts = np.asarray(result.image_counts)
    np.savez_compressed(buffer, counts=counts, names=np.array(result.image_names))
    write_whole(file, buffer.getvalue())


def _counts_mib(dataset: SegDataset) -> float:
    """Return what the confusion matrices of all images take."""
    return len(dataset) * len(dataset.classes) ** 2 * 8 / 2**20


def _skipped(stream: Stream) -> Iterator[str]:
    yield from stream.skipped.values()
    if stream.unlabelled is not None:
        yield from stream.unlabelled.skipped.values()


def _spread(count: int, wanted: int) -> set[int]:
    """Return indices spread evenly over a dataset."""
    wanted = min(count, wanted)
    return {(2 * place + 1) * count // (2 * wanted) for place in range(wanted)}
