"""Image by image: where distillation helped and where it harmed, with the pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from segdistill.analysis.compared import PLAIN
from segdistill.analysis.opened import Opened, header
from segdistill.data.pictures import write_image, write_mask
from segdistill.files import inside
from segdistill.image_scores import image_miou, worst_and_best
from segdistill.scoring.evaluator import evaluate
from segdistill.scoring.inference import predict
from segdistill.training.events import Progress, Tell
from segdistill.types import Classes, Sample, SegDataset


def image_differences(opened: Opened, folder: Path, tell: Tell) -> dict[str, Any] | None:
    """Write the pictures of the worst and best images of every method, and return the numbers.

    The mIoU of an image is a mean over the seeds that the method and the plain student both
    have; the pictures are of the first. None without a plain student and another.
    """
    if PLAIN not in opened.students or len(opened.students) < 2:
        return None
    scores = _kept_scores(opened) or _new_scores(opened)
    chosen: dict[int, None] = {}
    methods = {}
    for name in opened.compared.distilled:
        own, plain = scores.of(name), scores.of(PLAIN, like=name)
        change = own - plain
        worst, best = worst_and_best(change, count=opened.settings.pictures)
        chosen |= dict.fromkeys([*worst, *best])
        known = change[~np.isnan(change)]
        methods[name] = {
            "seeds": len(scores.shared(name)),
            "mean": float(known.mean()) if len(known) else None,
            "better": int((known > 0).sum()),
            "worse": int((known < 0).sum()),
            "differences": [None if one != one else one for one in change.tolist()],
            "worst": [_entry(scores.names, plain, own, place) for place in worst],
            "best": [_entry(scores.names, plain, own, place) for place in best],
        }
    pictures = {}
    for done, place in enumerate(chosen):
        sample = opened.dataset[scores.places[place]]
        pictures[scores.names[place]] = _write(opened, sample, folder)
        tell(Progress("pictures", done + 1, len(chosen), {}))
    return header(opened, "", "pictures") | {
        "images": scores.names,
        "baseline": PLAIN,
        "methods": methods,
        "pictures": pictures,
    }


@dataclass(frozen=True)
class _Scores:
    """mIoU by method, seed and image, with the images' places in the split and their names."""

    values: Mapping[str, Mapping[str, np.ndarray]]
    places: Sequence[int]
    names: list[str]

    def shared(self, name: str) -> list[str]:
        """Return the seeds that a method and the plain student both have."""
        return [seed for seed in self.values[name] if seed in self.values[PLAIN]]

    def of(self, name: str, *, like: str | None = None) -> np.ndarray:
        """Return the mean over seeds; over those that another method has, where one is named."""
        seeds = self.shared(like or name)
        mean: np.ndarray = np.mean([self.values[name][seed] for seed in seeds], axis=0)
        return mean


def _kept_scores(opened: Opened) -> _Scores | None:
    """Return the scores that the runs kept, None where one kept none: large splits do not."""
    values: dict[str, dict[str, np.ndarray]] = {}
    names: list[str] = []
    for name, runs in opened.compared.repeats.items():
        for seed, folder in runs.items():
            file = folder / "confusion_images.npz"
            if not file.exists():
                return None
            with np.load(file, allow_pickle=False) as kept:
                names = [str(one) for one in kept["names"]]
                counts = kept["counts"]
            if len(names) != len(opened.dataset):
                return None
            values.setdefault(name, {})[seed] = image_miou(counts)
    return _Scores(values, range(len(names)), names)


def _new_scores(opened: Opened) -> _Scores:
    """Score the images looked at with the students of the first seed."""
    part = _Part(opened.samples, opened.classes)
    values = {
        name: {"": image_miou(_score(opened, network, part))}
        for name, network in opened.students.items()
    }
    return _Scores(values, opened.places, opened.names())


def _score(opened: Opened, network: nn.Module, part: SegDataset) -> np.ndarray:
    config = opened.compared.config
    result = evaluate(
        network,
        part,
        device=opened.device,
        precision=config.training.precision,
        scales=config.evaluation.scales,
        flip=config.evaluation.flip,
        window=config.evaluation.window,
        keep_images=True,
    )
    return torch.as_tensor(result.image_counts).numpy()


def _write(opened: Opened, sample: Sample, folder: Path) -> dict[str, str]:
    """Write input, truth and every network's prediction of one image."""
    files = {"input": inside(folder, f"{sample.name}_input.jpg")}
    files["input"].parent.mkdir(parents=True, exist_ok=True)
    write_image(files["input"], sample.image, made_by="analyse")
    if sample.mask is not None:
        files["truth"] = inside(folder, f"{sample.name}_truth.png")
        write_mask(files["truth"], sample.mask, opened.classes, made_by="analyse")
    settings = opened.compared.config.evaluation
    image = torch.from_numpy(np.ascontiguousarray(sample.image)).permute(2, 0, 1)[None]
    for name, network in opened.networks.items():
        with torch.inference_mode():
            probabilities = predict(
                network.to(opened.device).eval(),
                image.to(opened.device),
                scales=settings.scales,
                flip=settings.flip,
                window=settings.window,
            )
        files[name] = inside(folder, f"{sample.name}_{name}.png")
        ids = probabilities[0].argmax(dim=0).cpu().numpy()
        write_mask(files[name], ids, opened.classes, made_by="analyse")
    return {kind: str(file.relative_to(opened.root)) for kind, file in files.items()}


def _entry(names: Sequence[str], plain: np.ndarray, own: np.ndarray, place: int) -> dict[str, Any]:
    before, after = float(plain[place]), float(own[place])
    return {"image": names[place], "plain": before, "method": after, "difference": after - before}


class _Part:
    """A few images of a dataset."""

    def __init__(self, samples: Sequence[Sample], classes: Classes) -> None:
        self.samples, self.classes = samples, classes

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:
        return self.samples[index]
