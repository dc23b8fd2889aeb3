"""Which pixels are drawn, and how often neighbours are of one class."""

import pytest
import torch
from torch import Tensor

from segdistill.scoring.embeddings import neighbour_agreement, sample_pixels


def masks() -> list[Tensor]:
    first = torch.tensor([[0, 0, 1], [0, 255, 1]])
    second = torch.tensor([[2, 255], [0, 0]])
    return [first, second]


def test_every_pixel_is_where_it_says_and_of_the_class_it_says() -> None:
    pixels = sample_pixels(masks(), classes=4, per_class=3)
    assert pixels.dtype == torch.int64
    for image, row, column, label in pixels.tolist():
        assert masks()[image][row, column] == label
    assert pixels[:, 3].tolist() == [0, 0, 0, 1, 1, 2]
    assert len({tuple(pixel) for pixel in pixels.tolist()}) == len(pixels)
    assert pixels.tolist() == sorted(pixels.tolist(), key=lambda p: (p[3], *p[:3]))


def test_ignored_labels_are_never_drawn() -> None:
    pixels = sample_pixels(masks(), classes=3, per_class=100)
    assert len(pixels) == 5 + 2 + 1
    assert 255 not in pixels[:, 3]


def test_the_draw_is_a_function_of_the_seed_and_of_the_class_alone() -> None:
    large = [torch.zeros(40, 50, dtype=torch.int64)]
    other = [mask.clone() for mask in large]
    other[0][:, :5] = 1
    again = sample_pixels(large, classes=2, per_class=20, seed=1)
    assert sample_pixels(large, classes=2, per_class=20, seed=1).equal(again)
    assert not sample_pixels(large, classes=2, per_class=20, seed=2).equal(again)
    # Another class's pixels do not move a class's draw, however many are asked of it.
    one = sample_pixels([other[0]], classes=2, per_class=20, seed=1)
    assert one[one[:, 3] == 0].equal(sample_pixels([other[0]], classes=1, per_class=20, seed=1))


def test_neighbours_worked_out_by_hand() -> None:
    # On a line by angle: a a b a; each with its nearest neighbour.
    angles = torch.tensor([0.0, 0.1, 0.3, 0.45])
    points = torch.stack([angles.cos(), angles.sin()], dim=1)
    labels = torch.tensor([0, 0, 1, 0])
    # 0 -> 1 (same), 1 -> 0 (same), 2 -> 3 (other), 3 -> 2 (other).
    assert neighbour_agreement(points, labels, neighbours=1) == 0.5
    assert neighbour_agreement(5 * points, labels, neighbours=1) == 0.5
    # With all three others: 2 of 3 for each of the three, 0 of 3 for the one.
    assert neighbour_agreement(points, labels, neighbours=3) == pytest.approx(0.5)


def test_refuses_what_it_cannot_draw() -> None:
    with pytest.raises(ValueError, match=r"expected masks \(h, w\)"):
        sample_pixels([torch.zeros(1, 2, 2)], classes=2, per_class=1)
    with pytest.raises(ValueError, match="expected at least one labelled pixel"):
        sample_pixels([torch.full((2, 2), 255)], classes=2, per_class=1)
    with pytest.raises(ValueError, match="per_class >= 1"):
        sample_pixels(masks(), classes=2, per_class=0)
    with pytest.raises(ValueError, match="expected more than 10 pixels, got 4"):
        neighbour_agreement(torch.zeros(4, 2), torch.zeros(4))
    with pytest.raises(ValueError, match=r"labels \(M,\)"):
        neighbour_agreement(torch.zeros(40, 2), torch.zeros(4))
