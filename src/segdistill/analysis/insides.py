"""What is found inside the networks: how soft the teacher is, embeddings, affinities."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from segdistill.analysis.opened import TEACHER, Opened, header
from segdistill.analysis.passes import passes
from segdistill.data.pictures import write_image
from segdistill.files import inside
from segdistill.losses import resize_labels, resize_like
from segdistill.models.taps import describe
from segdistill.scoring.affinities import affinity_map
from segdistill.scoring.embeddings import neighbour_agreement, sample_pixels
from segdistill.scoring.softness import entropy, entropy_counts
from segdistill.seeding import draws
from segdistill.training.events import Progress, Tell
from segdistill.types import IGNORE_INDEX

MOST_PICTURE_SIDE = 320


@dataclass(frozen=True)
class Targets:
    """Where to look, the same for all networks.

    Attributes:
        grids: height and width of the first student's map, by image.
        pixels: ``(M, 4)``, see ``evaluation.sample_pixels``.
        points: image, row, column and class of each affinity map.
    """

    grids: list[tuple[int, int]]
    pixels: Tensor
    points: list[tuple[int, int, int, int]]


@dataclass(frozen=True)
class Seen:
    """What one network gave.

    Attributes:
        embeddings: of the pixels ``(M, C)``, of length 1.
        affinities: a map ``(h, w)`` a point.
        logits: of every image ``(K, h, w)``, at the network's own stride.
    """

    embeddings: Tensor
    affinities: list[Tensor]
    logits: list[Tensor]


def find_targets(opened: Opened) -> Targets:
    """Draw pixels and points on the map of the first student.

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


def look(opened: Opened, targets: Targets, tell: Tell) -> dict[str, Seen]:
    """Pass the images through every network, the teacher last."""
    found = {}
    for done, (name, network) in enumerate(opened.networks.items()):
        embeddings, affinities, logits = [], dict[int, Tensor](), []
        together = passes(network, opened.inputs, opened.settings.tap, opened.device)
        for image, one in enumerate(together):
            rows = targets.pixels[targets.pixels[:, 0] == image]
            like = torch.empty(targets.grids[image])
            features = resize_like(one.features[None], like)[0]
            embeddings.append(features[:, rows[:, 1], rows[:, 2]].T)
            for place, (where, row, column, _) in enumerate(targets.points):
                if where == image:
                    affinities[place] = affinity_map(features, row=row, column=column)
            logits.append(one.logits)
        # Pixels come sorted by class, the passes by image.
        back = targets.pixels[:, 0].argsort(stable=True).argsort()
        unit = F.normalize(torch.cat(embeddings)[back], dim=1)
        maps = [affinities[place] for place in range(len(targets.points))]
        found[name] = Seen(unit, maps, logits)
        tell(Progress("looking into networks", done + 1, len(opened.networks), {}))
    return found


def entropy_of_teacher(opened: Opened, logits: list[Tensor]) -> dict[str, Any]:
    """Return the histogram of the teacher's entropy at every temperature, over all pixels."""
    settings, classes = opened.settings, len(opened.classes)
    counts = {t: torch.zeros(settings.bins, dtype=torch.int64) for t in settings.temperatures}
    sums = dict.fromkeys(settings.temperatures, 0.0)
    for one, sample in zip(logits, opened.samples, strict=True):
        size = sample.image.shape[:2]
        full = F.interpolate(one[None], size=size, mode="bilinear")
        for temperature in settings.temperatures:
            entropies = entropy(full, temperature=temperature)
            counts[temperature] += entropy_counts(entropies, classes=classes, bins=settings.bins)
            sums[temperature] += float(entropies.double().sum())
    pixels = int(next(iter(counts.values())).sum())
    largest = math.log(classes)
    return header(opened, "Niemann et al. 2023, Fig. 1", "temperatures", "bins") | {
        "images": opened.names(),
        "pixels": pixels,
        "classes": classes,
        "edges": [largest * place / settings.bins for place in range(settings.bins + 1)],
        "temperatures": [
            {
                "temperature": temperature,
                "mean": sums[temperature] / pixels,
                "shares": (counts[temperature].double() / pixels).tolist(),
            }
            for temperature in settings.temperatures
        ],
    }


def embeddings_in_the_plane(
    opened: Opened, targets: Targets, seen: Mapping[str, Seen], tell: Tell
) -> dict[str, Any]:
    """Return where t-SNE puts the pixels of each student, and how well classes keep together.

    Raises:
        ModuleNotFoundError: scikit-learn is not installed.
    """
    from sklearn.manifold import TSNE

    settings, labels = opened.settings, targets.pixels[:, 3]
    neighbours = min(settings.neighbours, len(labels) - 1)
    perplexity = max(1.0, min(settings.perplexity, (len(labels) - 1) / 3))
    networks = {}
    for done, (name, one) in enumerate(seen.items()):
        networks[name] = {
            "neighbour_agreement": neighbour_agreement(
                one.embeddings, labels, neighbours=neighbours
            ),
            "channels": one.embeddings.shape[1],
        }
        if name != TEACHER:
            # Features that are all alike have no principal directions to start from.
            start = "pca" if bool((one.embeddings.std(dim=0) > 0).sum() > 1) else "random"
            plane = TSNE(init=start, perplexity=perplexity, random_state=settings.seed)
            placed = plane.fit_transform(one.embeddings.numpy())
            networks[name] |= {axis: placed[:, i].round(2).tolist() for i, axis in enumerate("xy")}
        tell(Progress("t-SNE", done + 1, len(seen), {}))
    used = ("images", "megapixels", "pixels", "neighbours", "perplexity", "tap", "seed")
    return header(opened, "Yang et al., CVPR 2022 (CIRKD), Fig. 5", *used) | {
        "images": opened.names(),
        "classes": list(opened.classes.names),
        "colors": [list(color) for color in opened.classes.colors],
        "labels": labels.tolist(),
        "neighbours": neighbours,
        "perplexity": perplexity,
        "networks": networks,
    }


def affinity_maps(opened: Opened, targets: Targets, seen: Mapping[str, Seen]) -> dict[str, Any]:
    """Write the affinity maps of every network as grey pictures, and return what they are."""
    folder = inside(opened.root, f"affinity/{opened.compared.pair}")
    folder.mkdir(parents=True, exist_ok=True)
    place_of = folder.relative_to(opened.root)
    points = []
    for place, (image, row, column, label) in enumerate(targets.points):
        sample, (height, width) = opened.samples[image], targets.grids[image]
        write_image(folder / f"{place}_input.jpg", _reduced(sample.image), made_by="analyse")
        maps = {}
        for name, one in seen.items():
            file = f"{place}_{name}.png"
            grey = ((one.affinities[place] + 1) * 127.5).round().to(torch.uint8)
            write_image(inside(folder, file), grey.numpy(), made_by="analyse")
            values = one.affinities[place]
            maps[name] = {
                "file": str(place_of / file),
                "low": float(values.min()),
                "mean": float(values.mean()),
            }
        points.append(
            {
                "image": sample.name,
                "input": str(place_of / f"{place}_input.jpg"),
                "size": list(sample.image.shape[:2]),
                "grid": [height, width],
                "row": row,
                "column": column,
                "class": opened.classes.names[label],
                "maps": maps,
            }
        )
    return header(opened, "He et al., CVPR 2019 (KA), Fig. 3", "points", "tap", "seed") | {
        "value_of_grey": "cosine = grey / 127.5 - 1",
        "points": points,
    }


def _draw_points(labels: list[Tensor], opened: Opened) -> list[tuple[int, int, int, int]]:
    """Draw one labelled position in each of a few images; rare classes as often as others."""
    known = [image for image, mask in enumerate(labels) if bool((mask != IGNORE_INDEX).any())]
    draw = draws(opened.settings.seed, "affinity")
    points = []
    for image in sorted(draw.sample(known, min(opened.settings.points, len(known)))):
        mask = labels[image]
        label = draw.choice(sorted(set(mask.flatten().tolist()) - {IGNORE_INDEX}))
        row, column = draw.choice((mask == label).nonzero().tolist())
        points.append((image, row, column, label))
    return points


def _reduced(image: Any) -> Any:
    """Return an image with its longer side at most what a page needs."""
    height, width = image.shape[:2]
    factor = MOST_PICTURE_SIDE / max(height, width)
    if factor >= 1:
        return image
    size = round(factor * height), round(factor * width)
    tensor = torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float()
    small = F.interpolate(tensor, size, mode="bilinear", antialias=True)
    return small[0].round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
