"""Image by image against plain: where distillation helps and where it harms, with pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from segdistill.analysis.captions import Place, titled
from segdistill.analysis.header import header
from segdistill.config import PLAIN
from segdistill.drawing.figure import Figure
from segdistill.drawing.svg import blank, ink, tidy, to_svg, zero_line
from segdistill.files import inside
from segdistill.image_scores import image_miou, worst_and_best
from segdistill.runs.analyses import name_picture, picture_folder
from segdistill.runs.confusion import read_image_counts
from segdistill.training.events import Progress

if TYPE_CHECKING:
    from torch import nn

    from segdistill.analysis.looking import Looked
    from segdistill.analysis.opened import Opened
    from segdistill.types import Classes, Sample


def measure(looked: Looked) -> dict[str, Any]:
    """Write the pictures of the worst and best images of every method, and return the numbers.

    The mIoU of an image is the mean over the seeds that both the method and the plain student
    have; the pictures are from the first seed.
    """
    opened = looked.opened
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
            "differences": [None if np.isnan(value) else value for value in change.tolist()],
            "worst": [_entry(scores.names, plain, own, image) for image in worst],
            "best": [_entry(scores.names, plain, own, image) for image in best],
        }
    pictures = {}
    for done, image in enumerate(chosen):
        sample = opened.dataset[scores.places[image]]
        pictures[scores.names[image]] = _write(opened, sample)
        looked.tell(Progress("pictures", done + 1, len(chosen), {}))
    return header("images", opened, "pictures") | {
        "images": scores.names,
        "baseline": PLAIN,
        "methods": methods,
        "pictures": pictures,
    }


def draw(values: Mapping[str, Any], place: Place) -> list[Figure]:
    """Plot the sorted differences of the images' mIoU, one curve per method."""
    methods = values["methods"]
    figure, axes = blank(3.3)
    for method, row in methods.items():
        changes = sorted(100 * change for change in row["differences"] if change is not None)
        across = [100 * (rank + 0.5) / len(changes) for rank in range(len(changes))]
        share = 100 * row["better"] / max(1, len(changes))
        color, label = ink(place.colors[method]), f"{method}: {share:.0f} % better"
        axes.plot(across, changes, color=color, linewidth=1.6, label=label)
        shown = len(row["worst"]), len(row["best"])
        ends = [*range(shown[0]), *range(len(changes) - shown[1], len(changes))]
        axes.plot(
            [across[end] for end in ends],
            [changes[end] for end in ends],
            color=color,
            linestyle="none",
            marker="o",
            markersize=3.2,
        )
    zero_line(axes)
    tidy(axes, "Change of mIoU, points", "images from worst to best, %")
    axes.margins(x=0.02)
    axes.legend(frameon=False)
    summary = "; ".join(
        f"{name}: better on {row['better']}, worse on {row['worse']} of {len(values['images'])}"
        for name, row in methods.items()
    )
    return [
        Figure(
            titled("Image by image against plain", values),
            f"mIoU of each of {len(values['images']):,} {values['split']} images minus the plain "
            "student's on the same image, in points, from the worst to the best, "
            f"{_over_seeds(methods)}; dots: the worst and best ones, of which there are pictures.",
            to_svg(figure, place.name),
            f"Curves from the worst image to the best. {summary}.",
        )
    ]


def _over_seeds(methods: Mapping[str, Mapping[str, Any]]) -> str:
    seeds = sorted({row["seeds"] for row in methods.values()})
    return "one seed" if seeds == [1] else f"mean over {' or '.join(map(str, seeds))} seeds"


@dataclass(frozen=True)
class _Scores:
    """mIoU by method, seed and image, with the images' indices in the split and their names."""

    values: Mapping[str, Mapping[str, np.ndarray]]
    places: Sequence[int]
    names: list[str]

    def shared(self, name: str) -> list[str]:
        """Return the seeds that a method and the plain student both have."""
        return [seed for seed in self.values[name] if seed in self.values[PLAIN]]

    def of(self, name: str, *, like: str | None = None) -> np.ndarray:
        """Return the mean over seeds, or over those that another method has too."""
        seeds = self.shared(like or name)
        mean: np.ndarray = np.mean([self.values[name][seed] for seed in seeds], axis=0)
        return mean


def _kept_scores(opened: Opened) -> _Scores | None:
    """Return the scores that the runs have kept, None if one has not, as for large splits."""
    values: dict[str, dict[str, np.ndarray]] = {}
    names: list[str] = []
    for name, runs in opened.compared.repeats.items():
        for seed, folder in runs.items():
            kept = read_image_counts(folder)
            if kept is None or len(kept.names) != len(opened.dataset):
                return None
            names = list(kept.names)
            values.setdefault(name, {})[seed] = image_miou(kept.counts)
    return _Scores(values, range(len(names)), names)


def _new_scores(opened: Opened) -> _Scores:
    """Score the analysed images with the students of the first seed."""
    values = {
        name: {"": image_miou(_score(opened, network))} for name, network in opened.students.items()
    }
    return _Scores(values, opened.places, opened.names())


def _score(opened: Opened, network: nn.Module) -> np.ndarray:
    import torch

    from segdistill.scoring.evaluator import evaluate

    config = opened.compared.config
    result = evaluate(
        network,
        _Part(opened.samples, opened.classes),
        device=opened.device,
        precision=config.training.precision,
        scales=config.evaluation.scales,
        flip=config.evaluation.flip,
        window=config.evaluation.window,
        keep_images=True,
    )
    return torch.as_tensor(result.image_counts).numpy()


def _write(opened: Opened, sample: Sample) -> dict[str, str]:
    """Write input, labels and every network's prediction for one image."""
    import torch

    from segdistill.data.pictures import write_image, write_mask
    from segdistill.scoring.inference import predict

    folder = picture_folder(opened.folder, "images", opened.compared.pair)
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
    return {kind: name_picture(opened.folder, file) for kind, file in files.items()}


def _entry(names: Sequence[str], plain: np.ndarray, own: np.ndarray, image: int) -> dict[str, Any]:
    before, after = float(plain[image]), float(own[image])
    return {"image": names[image], "plain": before, "method": after, "difference": after - before}


class _Part:
    """A few images of a dataset."""

    def __init__(self, samples: Sequence[Sample], classes: Classes) -> None:
        self.samples, self.classes = samples, classes

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:
        return self.samples[index]
