"""Time and memory of every loss, beside a literal form of its equation in the same run.

    python benchmarks/bench_losses.py [--only pairwise_similarity ...] [--again ...] [--device cuda]

Forward and backward, one thread on a CPU. Times are the median of several runs, ours and the
literal form in turn in one process, in CPU seconds (on a GPU wall seconds of finished work, with
bfloat16 maps). Peak memory is what a fresh process needs above its inputs; an "input" is one of
the two maps. Losses that are mostly layers of a network (masked_generation, holistic,
cross_attention, diffusion, and knowledge_adaptation but for its two comparisons) cost what their
layers cost and are not here: ``bench_recipes.py`` times their steps. Writes
``results/losses.json`` and ``results/losses.md`` (``losses_cuda.*``).
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from results_file import FOLDER, write_result
from torch import Tensor
from torch.nn import functional as F

from segdistill import losses
from segdistill.files import read_json
from segdistill.types import Batch

FEATURES = (2, 512, 64, 128)
LOGITS = (2, 19, 64, 128)
LARGE_LOGITS = (2, 19, 512, 1024)
CLASSES = 19
CONTRASTS = 4096
SEED = 0


@dataclass(frozen=True)
class Inputs:
    """Two maps and what some losses need beside them."""

    student: Tensor
    teacher: Tensor
    labels: Tensor
    contrast: Tensor
    images: Tensor


def make(shape: tuple[int, ...], device: str, dtype: torch.dtype) -> Inputs:
    generator = torch.Generator(device).manual_seed(SEED)

    def normal(*size: int) -> Tensor:
        return torch.randn(size, generator=generator, device=device, dtype=dtype)

    # Rectified, as the features of a network are; the logits are compared as well with it.
    student, teacher = normal(*shape).relu_(), normal(*shape).relu_()
    place = (shape[0], *shape[2:])
    labels = torch.randint(0, CLASSES, place, generator=generator, device=device)
    contrast = normal(min(CONTRASTS, 64 * shape[3]), shape[1])
    images = torch.rand(shape[0], 3, 64, 128, generator=generator, device=device)
    return Inputs(student.requires_grad_(), teacher, labels, contrast, images)


# The literal forms: each equation as one would write it down, sharing no code with the package.


def literal_pixelwise(x: Inputs) -> Tensor:
    log_s, p = F.log_softmax(x.student, dim=1), F.softmax(x.teacher, dim=1)
    return F.kl_div(log_s, p, reduction="none").sum(dim=1).mean()


def literal_channelwise(x: Inputs, temperature: float = 4.0) -> Tensor:
    student, teacher = (z.flatten(2) / temperature for z in (x.student, x.teacher))
    p = teacher.softmax(dim=2)
    value = (p * teacher.log_softmax(dim=2) - p * student.log_softmax(dim=2)).sum()
    return value * temperature**2 / student[..., 0].numel()


def literal_decoupled(x: Inputs, temperature: float = 4.0) -> Tensor:
    labels = x.labels % x.student.shape[1]
    target = F.one_hot(labels, x.student.shape[1]).movedim(3, 1).to(x.student.dtype)
    student, teacher = x.student / temperature, x.teacher / temperature

    def binary(logits: Tensor) -> Tensor:
        p = logits.softmax(dim=1)
        return torch.stack(((p * target).sum(1), (p * (1 - target)).sum(1)), dim=1)

    first = F.kl_div(binary(student).log(), binary(teacher), reduction="none").sum(1)
    log_s = F.log_softmax(student - 1000 * target, dim=1)
    second = F.kl_div(log_s, F.softmax(teacher - 1000 * target, 1), reduction="none").sum(1)
    return (first + 8 * second).mean() * temperature**2


def literal_correlation(x: Inputs) -> Tensor:
    def pearson(a: Tensor, b: Tensor) -> Tensor:
        a, b = a - a.mean(1, keepdim=True), b - b.mean(1, keepdim=True)
        return (a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1)).clamp_min(1e-12)

    u, v = (z.softmax(1).movedim(1, 3).flatten(0, 2) for z in (x.student, x.teacher))
    return (1 - pearson(u, v)).mean() + (1 - pearson(u.T, v.T)).mean()


def literal_mse(x: Inputs) -> Tensor:
    return ((x.student - x.teacher) ** 2).mean()


def literal_magnitude(x: Inputs) -> Tensor:
    norms = [z.flatten(1).norm(dim=1) for z in (x.student, x.teacher)]
    return ((norms[1] - norms[0]) ** 2).sum() / x.student.numel()


def literal_layer(x: Inputs) -> Tensor:
    student, teacher = (F.normalize(z.flatten(1), dim=1) for z in (x.student, x.teacher))
    return ((student - teacher) ** 2).sum(1).mean()


def literal_channel(x: Inputs) -> Tensor:
    student, teacher = (F.normalize(z.flatten(2), dim=2) for z in (x.student, x.teacher))
    return ((student - teacher) ** 2).sum(2).mean()


def literal_point(x: Inputs) -> Tensor:
    student, teacher = (F.normalize(z, dim=1) for z in (x.student, x.teacher))
    return ((student - teacher) ** 2).sum(1).mean()


def literal_attention(x: Inputs) -> Tensor:
    student, teacher = (
        F.normalize((z**2).mean(1).flatten(1), dim=1) for z in (x.student, x.teacher)
    )
    return ((student - teacher) ** 2).mean()


def literal_adaptation(x: Inputs) -> Tensor:
    student, teacher = (F.normalize(z, dim=1) for z in (x.student, x.teacher))
    return (student - teacher).norm(dim=1).mean()


def cosines(maps: Tensor) -> Tensor:
    vectors = F.normalize(maps.flatten(2), dim=1)
    return vectors.mT @ vectors


def literal_affinity(x: Inputs) -> Tensor:
    difference = (cosines(x.student) - cosines(x.teacher)) / x.student[0, 0].numel()
    return difference.norm(dim=2).sum(1).mean()


def literal_pairwise(x: Inputs) -> Tensor:
    return ((cosines(x.student) - cosines(x.teacher)) ** 2).mean()


def literal_local(x: Inputs) -> Tensor:
    def neighbours(maps: Tensor) -> Tensor:
        vectors = F.normalize(maps, dim=1)
        patches = F.unfold(vectors, 3, padding=1).unflatten(1, (maps.shape[1], 9))
        return (patches * vectors.flatten(2)[:, :, None]).sum(1)

    real = F.unfold(torch.ones_like(x.student[:, :1]), 3, padding=1)
    square = (neighbours(x.student) - neighbours(x.teacher)) ** 2
    return (square * real).sum() / (real.sum() - real[:, 4].sum())


def literal_intra_class(x: Inputs) -> Tensor:
    # As in public code: for each class a mask of the size of the features.
    def variation(maps: Tensor) -> Tensor:
        center = maps
        for k in range(CLASSES):
            mask = (x.labels[:, None].expand_as(maps) == k).to(maps.dtype)
            mean = (mask * maps).sum((2, 3), True) / mask.sum((2, 3), True).clamp_min(1)
            center = (1 - mask) * center + mask * mean
        return F.cosine_similarity(maps, center, dim=1)

    return ((variation(x.student) - variation(x.teacher)) ** 2).mean()


def row_kl(student: Tensor, teacher: Tensor, temperature: float = 0.1) -> Tensor:
    log_s, p = (student / temperature).log_softmax(1), (teacher / temperature).softmax(1)
    return F.kl_div(log_s, p, reduction="batchmean")


def literal_batch(x: Inputs) -> Tensor:
    student, teacher = (F.normalize(z.flatten(2), dim=1) for z in (x.student, x.teacher))
    total = student.new_zeros(())
    for i in range(len(student)):
        for j in range(len(student)):
            ours, theirs = student[i].T @ student[j], teacher[i].T @ teacher[j]
            total = total + row_kl(ours, theirs)
    return total / len(student) ** 2


def literal_memory(x: Inputs) -> Tensor:
    student, teacher = (
        F.normalize(z, dim=1).movedim(1, 3).flatten(0, 2) for z in (x.student, x.teacher)
    )
    contrast = F.normalize(x.contrast, dim=1)
    return row_kl(student @ contrast.T, teacher @ contrast.T)


def labels_of(x: Inputs) -> Tensor:
    return x.labels % min(CLASSES, x.student.shape[1])


def batch_of(x: Inputs) -> Batch:
    labels = labels_of(x)
    return Batch(x.images, labels, torch.ones_like(labels, dtype=torch.bool))


def literal_grouped(x: Inputs, top: int = 3) -> Tensor:
    # As in public code: a mask of -1000 for each group.
    group = torch.zeros_like(x.teacher).scatter_(1, x.teacher.topk(top, dim=1).indices, 1)
    p, q = x.student.softmax(1), x.teacher.softmax(1)

    def binary(z: Tensor) -> Tensor:
        return torch.stack(((z * group).sum(1), (z * (1 - group)).sum(1)), dim=1)

    total = F.kl_div(binary(p).log(), binary(q), reduction="none").sum(1)
    for members, weight in ((group, 1.0), (1 - group, 2.0)):
        log_s = F.log_softmax(x.student - 1000 * (1 - members), 1)
        log_t = F.log_softmax(x.teacher - 1000 * (1 - members), 1)
        total = total + weight * (log_t.exp() * (log_t - log_s)).sum(1)
    return total.mean()


def literal_adaptive(x: Inputs) -> Tensor:
    labels = labels_of(x)
    target = F.one_hot(labels, x.student.shape[1]).movedim(3, 1).to(x.student.dtype)
    right = (x.teacher.argmax(1) == labels)[:, None]
    target = torch.where(right, x.teacher.softmax(1), target)
    return -(target * x.student.log_softmax(1)).sum(1).mean()


def literal_boundary(x: Inputs, window: int = 7, temperature: float = 4.0) -> Tensor:
    masks = F.one_hot(labels_of(x), x.student.shape[1]).movedim(3, 1).to(x.student.dtype)
    dilated = F.max_pool2d(masks, window, 1, window // 2)
    edges = dilated + F.max_pool2d(-masks, window, 1, window // 2)
    log_s, log_t = ((z * edges / temperature).log_softmax(1) for z in (x.student, x.teacher))
    divergence = edges * (log_t.exp() * (log_t - log_s)).sum(1, keepdim=True)
    edge = (divergence.sum((0, 2, 3)) / edges.sum((0, 2, 3)).clamp_min(1)).sum()
    body = Inputs(x.student * (1 - edges), x.teacher * (1 - edges), x.labels, x.contrast, x.images)
    return 100 * edge * temperature**2 + 20 * literal_channelwise(body, temperature)


def literal_category(x: Inputs) -> Tensor:
    def gram(maps: Tensor) -> Tensor:
        rows = F.normalize(maps.softmax(1).flatten(2), dim=2)
        return rows @ rows.mT

    return ((gram(x.student) - gram(x.teacher)) ** 2).mean()


def class_means_by_masks(maps: Tensor, labels: Tensor) -> list[list[Tensor]]:
    return [
        [image[:, label == k].mean(1) for k in range(CLASSES) if (label == k).any()]
        for image, label in zip(maps, labels, strict=True)
    ]


def literal_distance(x: Inputs) -> Tensor:
    values = []
    for ours, theirs in zip(
        class_means_by_masks(x.student, labels_of(x)),
        class_means_by_masks(x.teacher, labels_of(x)),
        strict=True,
    ):
        squares = []
        for i in range(len(ours)):
            for j in range(i):
                near = (ours[i] - ours[j]).norm(), (theirs[i] - theirs[j]).norm()
                squares.append((near[0] - near[1]) ** 2)
        values.append(torch.stack(squares).mean())
    return torch.stack(values).mean()


def literal_perspective(x: Inputs) -> Tensor:
    labels, scores, means = labels_of(x), [], []
    for maps in (x.student, x.teacher):
        pixels = maps.movedim(1, 3).flatten(0, 2)
        found = [pixels[labels.flatten() == k] for k in range(CLASSES)]
        mean = F.normalize(torch.stack([part.mean(0) for part in found if len(part)]), dim=1)
        scores.append(10 * F.normalize(pixels, dim=1) @ mean.T)
        means.append(mean)
    log_s, log_t = (score.log_softmax(1) for score in scores)
    return (log_t.exp() * (log_t - log_s)).sum(1).mean() + (1 - (means[0] * means[1]).sum(1)).mean()


def literal_channel_similarity(x: Inputs) -> Tensor:
    student, teacher = (F.normalize(z.flatten(2), dim=2) for z in (x.student, x.teacher))
    return ((student @ student.mT - teacher @ teacher.mT) ** 2).mean()


def literal_structure(x: Inputs, levels: int = 3) -> Tensor:
    total, (student, teacher) = x.student.new_zeros(()), (x.student, x.teacher)
    for _ in range(levels):
        above = [F.avg_pool2d(z, 2, ceil_mode=True) for z in (student, teacher)]
        bands = [
            z - F.interpolate(a, scale_factor=2.0)[..., : z.shape[2], : z.shape[3]]
            for z, a in zip((student, teacher), above, strict=True)
        ]
        total = total + ((bands[0] - bands[1]) ** 2).mean()
        student, teacher = above
    return total


def literal_statistics(x: Inputs, bins: int = 8) -> Tensor:
    def counts(maps: Tensor) -> tuple[Tensor, Tensor]:
        pixels = maps.flatten(2)
        cosines = F.cosine_similarity(pixels, pixels.mean(2, keepdim=True), dim=1)
        low, high = cosines.amin(1, keepdim=True), cosines.amax(1, keepdim=True)
        steps = torch.linspace(0, 1, bins, device=maps.device, dtype=maps.dtype)
        levels = low + (high - low) * steps
        width = ((high - low) / (bins - 1))[..., None]
        near = (1 - (cosines[:, None] - levels[..., None]).abs() / width).clamp_min(0)
        return near.mean(2), levels

    pairs = zip(counts(x.student), counts(x.teacher), strict=True)
    return sum(((a - b) ** 2).mean(1).mean() for a, b in pairs)


def literal_channel_relations(x: Inputs, pool: int = 4) -> Tensor:
    pooled = (F.avg_pool2d(z, pool, ceil_mode=True).flatten(2) for z in (x.student, x.teacher))
    student, teacher = (F.normalize(z, dim=2) for z in pooled)
    pairs = [(i, j) for i in range(len(student)) for j in range(len(student))]
    values = [row_kl(student[i] @ student[j].T, teacher[i] @ teacher[j].T) for i, j in pairs]
    return torch.stack(values).mean()


def literal_contrast(x: Inputs, groups: int = 8, patch: int = 2) -> Tensor:
    # As in public code: boolean masks over the map of all pairs in a patch.
    def cut(maps: Tensor) -> Tensor:
        images, channels, height, width = maps.shape
        shape = (images, groups, channels // groups, height // patch, patch, width // patch, patch)
        return maps.reshape(shape).permute(0, 3, 5, 4, 6, 1, 2).flatten(0, 2).flatten(1, 3)

    scores = -torch.cdist(cut(x.student), cut(x.teacher), p=1) / 0.07
    rows = scores.shape[1]
    group = torch.arange(rows, device=scores.device) % groups
    others = (group[:, None] != group).expand_as(scores)
    own = torch.eye(rows, dtype=torch.bool, device=scores.device).expand_as(scores)
    logits = torch.cat((scores[own][:, None], scores[others].reshape(len(scores) * rows, -1)), 1)
    return F.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long, device=logits.device))


def masks_of(x: Inputs) -> Tensor:
    return x.teacher[:, :8].sigmoid()


def literal_masked(x: Inputs) -> Tensor:
    masks = masks_of(x)[:, :, None]
    square = (x.student[:, None] * masks - x.teacher[:, None] * masks) ** 2
    return (square.sum((3, 4)) / masks.sum((3, 4)).clamp_min(1e-5)).mean() / 2


def wavelet_masks(x: Inputs, levels: int = 3, tokens: int = 6) -> list[Tensor]:
    pooled, masks = x.teacher[:, :tokens], []
    for _ in range(levels):
        pooled = F.avg_pool2d(pooled, 2, ceil_mode=True)
        masks.append(pooled.sigmoid())
    return masks


def literal_wavelet(x: Inputs) -> Tensor:
    # As in public code: each prompt's masked bands of both maps.
    cell = torch.tensor([[1, 1, 1, 1], [1, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1]]) / 2
    low, total = [x.student, x.teacher], x.student.new_zeros(())
    for mask in wavelet_masks(x):
        masked = []
        for i, maps in enumerate(low):
            even = F.pad(maps, (0, maps.shape[3] % 2, 0, maps.shape[2] % 2))
            cells = F.pixel_unshuffle(even, 2).unflatten(1, (-1, 4))
            bands = torch.einsum("nckhw,ok->ncohw", cells, cell.to(cells))
            low[i] = bands[:, :, 0]
            masked.append(bands[:, None, :, 1:] * mask[:, :, None, None])
        total = total + (masked[0] - masked[1]).abs().mean()
    return total


def standardized(x: Inputs) -> Tensor:
    return losses.standardize_logits(x.student).square().mul(x.teacher).mean()


def literal_standardized(x: Inputs) -> Tensor:
    centred = x.student - x.student.mean(1, keepdim=True)
    deviation = centred.square().mean(1, keepdim=True).sqrt()
    return (centred / deviation).square().mul(x.teacher).mean()


@dataclass(frozen=True)
class Case:
    """A loss, its literal form and what the design asks of it."""

    ours: Callable[[Inputs], Tensor]
    literal: Callable[[Inputs], Tensor]
    shapes: tuple[tuple[int, ...], ...] = (FEATURES,)
    most_inputs: float | None = 3.0
    most_mib: float | None = None
    least_speedup: float | None = None
    least_saving: float | None = None

    def target(self) -> str:
        asked = [
            (self.least_speedup, "≥ {:.3g}× faster"),
            (self.least_saving, "≥ {:.3g}× less memory"),
            (self.most_mib, "peak ≤ {:.0f} MiB"),
            (self.most_inputs, "peak ≤ {:.0f} inputs"),
        ]
        return ", ".join(text.format(value) for value, text in asked if value is not None)


def two_maps(name: str) -> Callable[[Inputs], Tensor]:
    return lambda x: getattr(losses, name)(x.student, x.teacher)


BOTH = (LOGITS, LARGE_LOGITS)
CASES = {
    "pixelwise_kl": Case(two_maps("pixelwise_kl"), literal_pixelwise, BOTH),
    "channelwise_kl": Case(two_maps("channelwise_kl"), literal_channelwise, BOTH),
    "decoupled_kl": Case(
        lambda x: losses.decoupled_kl(x.student, x.teacher, x.labels % x.student.shape[1]),
        literal_decoupled,
        BOTH,
    ),
    "correlation": Case(two_maps("correlation"), literal_correlation, BOTH),
    "feature_mse": Case(two_maps("feature_mse"), literal_mse),
    "magnitude": Case(two_maps("magnitude"), literal_magnitude),
    "layer_angular": Case(two_maps("layer_angular"), literal_layer),
    "channel_angular": Case(two_maps("channel_angular"), literal_channel),
    "point_angular": Case(two_maps("point_angular"), literal_point),
    "attention": Case(two_maps("attention"), literal_attention),
    "adaptation": Case(two_maps("adaptation"), literal_adaptation),
    "affinity": Case(two_maps("affinity"), literal_affinity),
    "local_similarity": Case(two_maps("local_similarity"), literal_local),
    "intra_class_variation": Case(
        lambda x: losses.intra_class_variation(x.student, x.teacher, x.labels, classes=CLASSES),
        literal_intra_class,
        most_inputs=None,
        least_speedup=12,
        least_saving=30,
    ),
    "pairwise_similarity": Case(
        two_maps("pairwise_similarity"),
        literal_pairwise,
        most_inputs=None,
        least_speedup=20,
        least_saving=20,
    ),
    "memory_relations": Case(
        lambda x: losses.memory_relations(x.student, x.teacher, x.contrast),
        literal_memory,
        most_inputs=None,
        most_mib=256,
        least_speedup=1 / 0.7,
    ),
    "batch_relations": Case(
        two_maps("batch_relations"),
        literal_batch,
        most_inputs=None,
        most_mib=256,
        least_speedup=1 / 0.7,
    ),
}

CASES |= {
    "standardize_logits": Case(standardized, literal_standardized, (LOGITS,), most_inputs=None),
    "grouped_decoupled_kl": Case(two_maps("grouped_decoupled_kl"), literal_grouped, (LOGITS,)),
    "adaptive_cross_entropy": Case(
        lambda x: losses.adaptive_cross_entropy(x.student, x.teacher, labels_of(x)),
        literal_adaptive,
        (LOGITS,),
    ),
    # Masks and masked logits are maps of their own, beside features little.
    "boundary": Case(
        lambda x: sum(losses.Boundary()(x.student, x.teacher, batch_of(x)).values()),
        literal_boundary,
        (LOGITS,),
        most_inputs=None,
    ),
    "category_similarity": Case(
        two_maps("category_similarity"), literal_category, (LOGITS,), most_inputs=None
    ),
    "masked_mse": Case(
        lambda x: losses.masked_mse(x.student, x.teacher, masks_of(x)), literal_masked, (LOGITS,)
    ),
    "masked_wavelet_l1": Case(
        lambda x: losses.masked_wavelet_l1(x.student, x.teacher, wavelet_masks(x)), literal_wavelet
    ),
    "inter_class_distance": Case(
        lambda x: losses.inter_class_distance(x.student, x.teacher, labels_of(x), classes=CLASSES),
        literal_distance,
    ),
    "perspective": Case(
        lambda x: sum(losses.perspective(x.student, x.teacher, labels_of(x), classes=CLASSES)),
        literal_perspective,
    ),
    "channel_similarity": Case(two_maps("channel_similarity"), literal_channel_similarity),
    "structural_texture": Case(two_maps("structural_texture"), literal_structure),
    "statistical_texture": Case(two_maps("statistical_texture"), literal_statistics),
    "channel_relations": Case(two_maps("channel_relations"), literal_channel_relations),
    "contrast_groups": Case(
        lambda x: losses.contrast_groups(x.student, x.teacher, groups=8, patch=2, pool=1),
        literal_contrast,
        ((2, 512, 16, 32),),
        most_inputs=None,
    ),
}


def run(form: Callable[[Inputs], Tensor], inputs: Inputs) -> None:
    inputs.student.grad = None
    form(inputs).backward()


def warm_up(case: Case, device: str, dtype: torch.dtype) -> None:
    """Load the libraries and kernels that either form needs."""
    small = make((2, 24, 6, 8), device, dtype)
    run(case.ours, small)
    run(case.literal, small)
    torch.randn(600, 600, device=device) @ torch.randn(600, 600, device=device)


def measure_peak_mib(form: Callable[[Inputs], Tensor], inputs: Inputs) -> float:
    if inputs.student.is_cuda:
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        run(form, inputs)
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    run(form, inputs)
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / unit


def measure_seconds(form: Callable[[Inputs], Tensor], inputs: Inputs) -> float:
    if inputs.student.is_cuda:
        torch.cuda.synchronize()
        start = time.perf_counter()
        run(form, inputs)
        torch.cuda.synchronize()
        return time.perf_counter() - start
    start = time.process_time()
    run(form, inputs)
    return time.process_time() - start


def worst_errors(case: Case) -> dict[str, float]:
    """Return the largest relative errors of value and gradient in float64, on small maps."""
    inputs = make((2, 24, 6, 8), "cpu", torch.float64)
    found = []
    for form in (case.ours, case.literal):
        inputs.student.grad = None
        value = form(inputs)
        value.backward()
        assert inputs.student.grad is not None
        found.append((value.detach(), inputs.student.grad))
    (ours, slope), (theirs, expected) = found
    value_error = float((ours - theirs).abs() / theirs.abs())
    return {"value": value_error, "gradient": float((slope - expected).norm() / expected.norm())}


def work(name: str, shape: tuple[int, ...], what: str, device: str) -> object:
    """Measure one thing in this process."""
    torch.set_num_threads(1)
    case = CASES[name]
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    warm_up(case, device, dtype)
    inputs = make(shape, device, dtype)
    if what == "seconds":
        seconds = {"ours": [], "literal": []}
        forms = {"ours": case.ours, "literal": case.literal}
        start = time.perf_counter()
        # At least three of each, then as many as fit into twenty seconds, at most eleven.
        for repeat in range(11):
            if repeat >= 3 and time.perf_counter() - start > 20:
                break
            for side, form in forms.items():
                seconds[side].append(measure_seconds(form, inputs))
        return seconds
    return measure_peak_mib(case.ours if what == "ours" else case.literal, inputs)


def in_fresh_process(name: str, shape: tuple[int, ...], what: str, device: str) -> object:
    job = json.dumps([name, shape, what, device])
    # Freed memory goes back at once, so that a peak is what was held and not what was left over.
    environment = dict(os.environ, OMP_NUM_THREADS="1")
    if what in ("ours", "literal"):
        environment["MALLOC_MMAP_THRESHOLD_"] = "65536"
    command = [sys.executable, __file__, "--job", job]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(done.stdout)


def measure(name: str, shape: tuple[int, ...], device: str) -> dict[str, object]:
    case = CASES[name]
    seconds = in_fresh_process(name, shape, "seconds", device)
    peaks = {side: in_fresh_process(name, shape, side, device) for side in ("ours", "literal")}
    medians = {side: statistics.median(values) for side, values in seconds.items()}
    element = 2 if device == "cuda" else 4
    inputs = peaks["ours"] / (torch.Size(shape).numel() * element / 2**20)
    speedup = medians["literal"] / medians["ours"]
    saving = peaks["literal"] / peaks["ours"]
    met = (
        (case.least_speedup is None or speedup >= case.least_speedup)
        and (case.least_saving is None or saving >= case.least_saving)
        and (case.most_mib is None or peaks["ours"] <= case.most_mib)
        # A page of rounding on top of whole maps is no miss.
        and (case.most_inputs is None or inputs <= case.most_inputs + 0.05)
    )
    return {
        "loss": name,
        "shape": list(shape),
        "seconds": medians,
        "all_seconds": seconds,
        "peak_mib": peaks,
        "peak_inputs": inputs,
        "speedup": speedup,
        "memory_saving": saving,
        "relative_error_float64": worst_errors(case),
        "target": case.target(),
        "met": met,
    }


def table(rows: list[dict]) -> str:
    lines = [
        "| loss | maps | ours, s | literal, s | faster | ours, MiB | literal, MiB | less memory "
        "| inputs | error of value, gradient | target | met |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        seconds, peak, error = row["seconds"], row["peak_mib"], row["relative_error_float64"]
        cells = [
            f"`{row['loss']}`",
            "×".join(map(str, row["shape"])),
            f"{seconds['ours']:.3g}",
            f"{seconds['literal']:.3g}",
            f"{row['speedup']:.1f}×",
            f"{peak['ours']:.0f}",
            f"{peak['literal']:.0f}",
            f"{row['memory_saving']:.1f}×",
            f"{row['peak_inputs']:.1f}",
            f"{error['value']:.0e}, {error['gradient']:.0e}",
            row["target"],
            "yes" if row["met"] else "**no**",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=sorted(CASES), help="print, write nothing")
    parser.add_argument("--add", action="store_true", help="only what the result file lacks")
    parser.add_argument("--again", nargs="+", choices=sorted(CASES), help="replace their rows")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.job:
        name, shape, what, device = json.loads(arguments.job)
        print(json.dumps(work(name, tuple(shape), what, device)))
        return
    keep = arguments.add or arguments.again
    rows = known_rows(arguments.device) if keep else []
    rows = [row for row in rows if row["loss"] not in (arguments.again or [])]
    done = {(row["loss"], tuple(row["shape"])) for row in rows}
    for name in arguments.only or arguments.again or CASES:
        for shape in CASES[name].shapes:
            if (name, shape) in done:
                continue
            row = measure(name, shape, arguments.device)
            # A row that was added later says at which commit, and beside how much other work.
            added = {"commit": commit(), "load": round(os.getloadavg()[0], 1)}
            rows.append({**(added if keep else {}), **row})
            print(table(rows[-1:]).splitlines()[-1], flush=True)
            if keep:
                write(sorted(rows, key=place), arguments.device)
    if not (arguments.only or keep):
        write(rows, arguments.device)


def place(row: dict) -> tuple[int, int]:
    """Return where a row stands in the table: its loss, then its shape."""
    return list(CASES).index(row["loss"]), CASES[row["loss"]].shapes.index(tuple(row["shape"]))


def known_rows(device: str) -> list[dict]:
    """Return the rows of the result file, none where there is none."""
    file = FOLDER / ("losses_cuda.json" if device == "cuda" else "losses.json")
    if not file.exists():
        return []
    found = read_json(file)
    return [{"commit": found["commit"], **row} for row in found["rows"]]


def commit() -> str:
    found = subprocess.run(
        ["git", "rev-parse", "HEAD"], stdout=subprocess.PIPE, text=True, cwd=FOLDER
    )
    return found.stdout.strip()


def write(rows: list[dict], device: str) -> None:
    how = {
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "dtype": "bfloat16" if device == "cuda" else "float32",
        "threads": 1,
        "seed": SEED,
    }
    file = write_result("losses_cuda" if device == "cuda" else "losses", how | {"rows": rows})
    file.with_suffix(".md").write_text(table(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
