"""Bringing two maps to one size and one width."""

import pytest
import torch
from torch.testing import assert_close

from segdistill.losses import Projector, resize_like


def test_resizes_to_the_other_maps_height_and_width() -> None:
    teacher = torch.rand(2, 3, 5, 8)
    assert resize_like(teacher, torch.rand(2, 7, 9, 4)).shape == (2, 3, 9, 4)


def test_returns_the_map_itself_where_sizes_are_equal() -> None:
    teacher = torch.rand(2, 3, 5, 8)
    assert resize_like(teacher, torch.rand(2, 7, 5, 8)) is teacher


def test_resizes_bilinearly_without_aligned_corners() -> None:
    # Centres of the 4 outputs lie at -1/4, 1/4, 3/4, 5/4 of the 2 inputs.
    row = torch.tensor([0.0, 1.0]).reshape(1, 1, 1, 2)
    expected = torch.tensor([0.0, 0.25, 0.75, 1.0]).reshape(1, 1, 1, 4)
    assert_close(resize_like(row, torch.zeros(1, 1, 1, 4)), expected)


def test_refuses_what_is_no_map() -> None:
    with pytest.raises(ValueError, match=r"resize_like: expected a map \(N, C, H, W\), got \(3, 4"):
        resize_like(torch.rand(3, 4, 5), torch.rand(1, 3, 4, 5))


@pytest.mark.parametrize("kind", ["linear", "conv_bn_relu", "mlp"])
def test_projects_to_the_teachers_width(kind) -> None:  # noqa: ANN001
    projector = Projector(kind, 3, 7)
    assert projector(torch.rand(2, 3, 4, 5)).shape == (2, 7, 4, 5)
    assert all(parameter.requires_grad for parameter in projector.parameters())


def test_the_kinds_are_those_of_the_papers() -> None:
    def layers(kind) -> list[str]:  # noqa: ANN001
        return [type(layer).__name__ for layer in Projector(kind, 2, 3).layers]

    assert layers("linear") == ["Conv2d"]
    assert layers("conv_bn_relu") == ["Conv2d", "BatchNorm2d", "ReLU"]
    assert layers("mlp") == ["Conv2d", "BatchNorm2d", "ReLU", "Conv2d"]


def test_a_linear_projector_is_one_matrix_at_every_position() -> None:
    projector = Projector("linear", 2, 3)
    convolution = projector.layers[0]
    maps = torch.rand(1, 2, 4, 5)
    at = convolution.weight[:, :, 0, 0] @ maps[0, :, 1, 3] + convolution.bias
    assert_close(projector(maps)[0, :, 1, 3], at)


def test_refuses_an_unknown_kind_and_names_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"Projector: .*got 'linaer'; did you mean 'linear'"):
        Projector("linaer", 3, 7)  # type: ignore[arg-type]


def test_refuses_maps_without_channels() -> None:
    with pytest.raises(ValueError, match="at least 1 channel on both sides, got 0 and 7"):
        Projector("linear", 0, 7)


def test_half_precision_is_brought_to_float32_before_it_is_resized() -> None:
    maps = torch.randn(1, 4, 5, 7, generator=torch.Generator().manual_seed(0)).bfloat16()
    resized = resize_like(maps, torch.zeros(10, 14))
    assert resized.dtype == torch.float32
    assert_close(resized, resize_like(maps.float(), torch.zeros(10, 14)), rtol=0, atol=0)
    assert not torch.equal(resized, resized.bfloat16().float()), "nothing was rounded in between"
    assert resize_like(maps.double(), torch.zeros(10, 14)).dtype == torch.float64
