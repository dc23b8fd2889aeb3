"""Reading a dataset for evaluation: in order, in advance, and grouped by image size."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from segdistill.errors import DataError
from segdistill.types import IGNORE_INDEX, Sample, SegDataset

_BATCH_PIXELS = 2**21  # one Cityscapes image, whose logits of 19 classes take 160 MB


def read_batches(dataset: SegDataset, *, workers: int, batch_size: int) -> Iterator[list[Sample]]:
    """Yield the samples in the dataset's order, consecutive ones of equal size together.

    Args:
        dataset: images with masks.
        workers: number of threads that read ahead; 0 reads between batches.
        batch_size: maximum number of samples at once; large images make smaller batches.

    Raises:
        DataError: an image has no mask, or a mask has a value that is neither class nor ignored.
        ValueError: workers below 0 or batch_size below 1.
    """
    if workers < 0 or batch_size < 1:
        raise ValueError(
            "evaluate: expected workers >= 0 and batch_size >= 1, "
            f"got {workers} and {batch_size}; the defaults are 1 and 8"
        )
    batch: list[Sample] = []
    for sample in _read(dataset, workers, ahead=2 * batch_size):
        height, width = sample.image.shape[:2]
        limit = max(1, min(batch_size, _BATCH_PIXELS // (height * width)))
        if batch and (len(batch) >= limit or _sizes(batch[0]) != _sizes(sample)):
            yield batch
            batch = []
        batch.append(sample)
    if batch:
        yield batch


def stack(samples: list[Sample], device: torch.device) -> tuple[Tensor, Tensor]:
    """Return samples of equal size as uint8 images ``(N, 3, H, W)`` and masks ``(N, h, w)``."""
    images = np.stack([sample.image for sample in samples])
    masks = np.stack([_mask(sample) for sample in samples])
    return (
        torch.from_numpy(images).to(device).permute(0, 3, 1, 2),
        torch.from_numpy(masks).to(device),
    )


def _read(dataset: SegDataset, workers: int, ahead: int) -> Iterator[Sample]:
    if workers == 0:
        for index in range(len(dataset)):
            yield _checked(dataset, index)
        return
    waiting: deque[Future[Sample]] = deque()
    with ThreadPoolExecutor(max_workers=workers) as pool:
        try:
            for index in range(len(dataset)):
                waiting.append(pool.submit(_checked, dataset, index))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _checked(dataset: SegDataset, index: int) -> Sample:
    sample, classes = dataset[index], len(dataset.classes)
    mask = _mask(sample)
    wrong = mask[(mask >= classes) & (mask != IGNORE_INDEX)]
    if wrong.size:
        raise DataError(
            f"evaluate: expected labels from 0 to {classes - 1} or {IGNORE_INDEX} in "
            f"{sample.name}, got {wrong[0]} at {int((wrong == wrong[0]).sum())} pixels; "
            "map the mask's values to the classes first"
        )
    return sample


def _mask(sample: Sample) -> np.ndarray:
    if sample.mask is None:
        raise DataError(
            f"evaluate: expected a mask for every image, got none for {sample.name}; "
            "choose a split with masks, or predict instead"
        )
    return sample.mask


def _sizes(sample: Sample) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return sample.image.shape, _mask(sample).shape
