"""Boundary IoU: SciPy's erosion, class by class, as the paper has it; what does not count."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from segdistill.scoring.boundary import BoundaryIoU, boundary, boundary_width


def blobs(seed: int, classes: int = 4, shape: tuple[int, int] = (40, 52)) -> np.ndarray:
    random = np.random.default_rng(seed)
    maps = ndimage.gaussian_filter(random.standard_normal((classes, *shape)), (0, 4, 4))
    return maps.argmax(axis=0).astype(np.uint8)


def eroded(mask: np.ndarray, width: int) -> np.ndarray:
    square = np.ones((2 * width + 1, 2 * width + 1), dtype=bool)
    return ndimage.binary_erosion(mask, square, border_value=0)


@pytest.mark.parametrize("width", [1, 3, 30])
def test_a_boundary_is_what_erosion_takes_away_from_each_class(width: int) -> None:
    ids = blobs(0)
    found = boundary(ids, width)
    for k in range(4):
        own = ids == k
        assert np.array_equal(found & own, own & ~eroded(own, width))


def test_equals_the_papers_equation_class_by_class() -> None:
    truth, prediction = (np.stack([blobs(s), blobs(s + 1)]) for s in (1, 5))
    prediction[:, :20] = truth[:, :20]
    truth[0, :5, :5] = 255
    width = boundary_width(40, 52)
    assert width == 1
    ious = []
    for k in range(4):
        both = either = 0
        for y, p in zip(truth, prediction, strict=True):
            counted = y != 255
            own = (y == k) & ~eroded(y == k, width) & counted
            theirs = (p == k) & ~eroded(p == k, width) & counted
            both += int((own & theirs).sum())
            either += int((own | theirs).sum())
        ious.append(both / either)
    found = BoundaryIoU(4)
    found.update(torch.from_numpy(prediction[:1]), torch.from_numpy(truth[:1]))
    found.update(torch.from_numpy(prediction[1:]), torch.from_numpy(truth[1:]))
    assert found.score() == pytest.approx(np.mean(ious), rel=1e-12)
    assert 0 < found.score() < 1


def test_is_one_for_the_truth_itself_and_leaves_absent_classes_out() -> None:
    truth = torch.from_numpy(blobs(2)[None])
    found = BoundaryIoU(9)
    found.update(truth, truth)
    assert found.score() == 1
