"""A few images passed once through every network, for all analyses of features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from segdistill.analysis.opened import Opened
from segdistill.analysis.passes import passes
from segdistill.losses import resize_labels, resize_like
from segdistill.models.taps import describe
from segdistill.scoring.affinities import affinity_map
from segdistill.scoring.embeddings import sample_pixels
from segdistill.seeding import draws
from segdistill.training.events import Progress, Tell
from segdistill.types import IGNORE_INDEX


@dataclass(frozen=True)
class Targets:
    """The positions to analyse, the same for all networks.

    Attributes:
        grids: height and width of the first student's map, by image.
        pixels: ``(M, 4)``, see ``scoring.embeddings.sample_pixels``.
        points: image, row, column and class of each affinity map.
    """

    grids: list[tuple[int, int]]
    pixels: Tensor
    points: list[tuple[int, int, int, int]]


@dataclass(frozen=True)
class Seen:
    """The outputs of one network.

    Attributes:
        embeddings: embeddings of the pixels ``(M, C)``, of length 1.
        affinities: one map ``(h, w)`` per point.
        logits: logits of every image ``(K, h, w)``, at the network's own stride.
    """

    embeddings: Tensor
    affinities: list[Tensor]
    logits: list[Tensor]


@dataclass(frozen=True)
class Looked:
    """The input of an analysis.

    Attributes:
        opened: runs, networks and images.
        targets: the positions analysed; empty without the tap.
        seen: outputs by network, the teacher last; empty if a network lacks the tap.
        tell: called with every event, including what is left out.
    """

    opened: Opened
    targets: Targets
    seen: Mapping[str, Seen]
    tell: Tell


def look(opened: Opened, tell: Tell) -> Looked:
    """Run every network if all of them have the tap."""
    if not opened.lacking_tap():
        targets = find_targets(opened)
        return Looked(opened, targets, look_at(opened, targets, tell), tell)
    nowhere = Targets([], torch.zeros(0, 4, dtype=torch.int64), [])
    return Looked(opened, nowhere, {}, tell)


def find_targets(opened: Opened) -> Targets:
    """Choose pixels and points on the map of the first student.

    Raises:
        ValueError: that student has no such tap, or no image has a label.
    """
    first, tap = next(iter(opened.students.values())), opened.settings.tap
    sizes = [(image.shape[-2], image.shape[-1]) for image in opened.inputs]
    grid_of = {size: describe(first, [tap], size)[tap].size for size in dict.fromkeys(sizes)}
    grids = [grid_of[size] for size in sizes]
    labels = [
        resize_labels(torch.from_numpy(sample.mask.astype("int64"))[None], grid)[0]
        if sample.mask is not None
        else torch.full(grid, IGNORE_INDEX)
        for sample, grid in zip(opened.samples, grids, strict=True)
    ]
    settings, classes = opened.settings, len(opened.classes)
    pixels = sample_pixels(
        labels,
        classes=classes,
        per_class=max(1, settings.pixels // classes),
        seed=settings.seed,
    )
    return Targets(grids, pixels, _draw_points(labels, opened))


def look_at(opened: Opened, targets: Targets, tell: Tell) -> dict[str, Seen]:
    """Pass the images through every network, the teacher last."""
    outputs = {}
    for done, (name, network) in enumerate(opened.networks.items()):
        embeddings, affinities, logits = [], dict[int, Tensor](), []
        together = passes(network, opened.inputs, opened.settings.tap, opened.device)
        for image, seen in enumerate(together):
            rows = targets.pixels[targets.pixels[:, 0] == image]
            like = torch.empty(targets.grids[image])
            features = resize_like(seen.features[None], like)[0]
            embeddings.append(features[:, rows[:, 1], rows[:, 2]].T)
            for number, (where, row, column, _) in enumerate(targets.points):
                if where == image:
                    affinities[number] = affinity_map(features, row=row, column=column)
            logits.append(seen.logits)
        # Pixels are sorted by class, and the passes by image.
        back = targets.pixels[:, 0].argsort(stable=True).argsort()
        unit = F.normalize(torch.cat(embeddings)[back], dim=1)
        maps = [affinities[number] for number in range(len(targets.points))]
        outputs[name] = Seen(unit, maps, logits)
        tell(Progress("looking into networks", done + 1, len(opened.networks), {}))
    return outputs


def _draw_points(labels: list[Tensor], opened: Opened) -> list[tuple[int, int, int, int]]:
    """Choose one labelled position in each of a few images, rare classes as often as others."""
    known = [image for image, mask in enumerate(labels) if bool((mask != IGNORE_INDEX).any())]
    draw = draws(opened.settings.seed, "affinity")
    points = []
    for image in sorted(draw.sample(known, min(opened.settings.points, len(known)))):
        mask = labels[image]
        label = draw.choice(sorted(set(mask.flatten().tolist()) - {IGNORE_INDEX}))
        row, column = draw.choice((mask == label).nonzero().tolist())
        points.append((image, row, column, label))
    return points
