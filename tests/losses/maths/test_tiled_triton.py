"""The kernels of losses at full size: values and gradients of the tiles, on a GPU and interpreted.

Without a GPU Triton's interpreter runs them, which the suite's settings turn on.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from segdistill.losses import upsampled_cross_entropy, upsampled_kl
from segdistill.losses.maths import launch, tiled

pytest.importorskip("triton")
HAS_GPU = torch.cuda.is_available()
Loss = Callable[[Tensor, Tensor], Tensor]


@pytest.fixture(
    params=[
        pytest.param("cpu", marks=pytest.mark.skipif(HAS_GPU, reason="the GPU runs them")),
        pytest.param(
            "cuda",
            marks=[pytest.mark.gpu, pytest.mark.skipif(not HAS_GPU, reason="needs a GPU")],
        ),
    ]
)
def device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(launch, "_DEVICE", request.param)
    return str(request.param)


def noise(*shape: int, seed: int, device: str, dtype: torch.dtype = torch.float32) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (4 * torch.randn(*shape, generator=generator)).to(device, dtype)


def draw_labels(classes: int, *shape: int, device: str) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    labels = torch.randint(classes, shape, generator=generator)
    return labels.masked_fill(torch.rand(shape, generator=generator) < 0.3, 255).to(device)


def value_and_gradient(loss: Loss, logits: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    logits = logits.clone().requires_grad_()
    value = loss(logits, teacher)
    (3 * value).backward()
    assert logits.grad is not None
    return value.detach(), logits.grad


def by_kernel(loss: Loss, logits: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """Return what the kernel finds; taking tiles instead is an error."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiled, "_over_tiles", None)
        found = value_and_gradient(loss, logits, teacher)
    assert not launch._failed
    return found


def assert_as_tiles(loss: Loss, logits: Tensor, teacher: Tensor, within: float = 2e-6) -> None:
    """Compare the kernel with the tiles, which float64 logits take everywhere."""
    value, gradient = by_kernel(loss, logits, teacher)
    expected, slope = value_and_gradient(loss, logits.double(), teacher.double())
    assert value.dtype == torch.float32
    assert gradient.dtype == logits.dtype
    torch.testing.assert_close(value.double(), expected, rtol=within, atol=within)
    assert (gradient - slope).norm() <= max(within, torch.finfo(logits.dtype).eps) * slope.norm()


SIZES = [
    ((2, 3), (4, 6)),
    ((1, 2), (4, 8)),
    ((3, 2), (24, 16)),
    ((2, 1), (15, 7)),  # a scale that is not whole, and an odd one
    ((1, 1), (16, 32)),
]


@pytest.mark.parametrize(("source", "size"), SIZES)
def test_cross_entropy_is_that_of_the_tiles(
    source: tuple[int, int], size: tuple[int, int], device: str
) -> None:
    logits, labels = (
        noise(1, 3, *source, seed=0, device=device),
        draw_labels(3, 1, *size, device=device),
    )
    weight = torch.tensor([0.5, 2.0, 0.0], dtype=torch.float64, device=device)

    def loss(logits: Tensor, teacher: Tensor) -> Tensor:
        return upsampled_cross_entropy(logits, labels, weight=weight, label_smoothing=0.1)

    assert_as_tiles(loss, logits, logits)


@pytest.mark.parametrize(("source", "size"), SIZES)
def test_the_divergence_is_that_of_the_tiles(
    source: tuple[int, int], size: tuple[int, int], device: str
) -> None:
    student, teacher = (noise(1, 3, *source, seed=seed, device=device) for seed in (0, 1))
    valid = draw_labels(3, 1, *size, device=device) != 255

    def loss(student: Tensor, teacher: Tensor) -> Tensor:
        return upsampled_kl(student, teacher, size=size, temperature=4.0, valid=valid)

    assert_as_tiles(loss, student, teacher)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_images_strides_and_half_precision(dtype: torch.dtype, device: str) -> None:
    student, teacher = (noise(2, 2, 1, 2, seed=s, device=device, dtype=dtype) for s in (0, 1))
    student = student.to(memory_format=torch.channels_last)
    labels = draw_labels(2, 2, 9, 5, device=device).mT
    plain: Loss = lambda s, t: upsampled_cross_entropy(s, labels)  # noqa: E731
    assert_as_tiles(plain, student, teacher)
    kl: Loss = lambda s, t: upsampled_kl(s, t, size=(5, 9), valid=labels != 255)  # noqa: E731
    assert_as_tiles(kl, student, teacher)


def test_no_position_that_counts_gives_zero_with_a_graph(device: str) -> None:
    logits = noise(1, 3, 1, 1, seed=0, device=device)
    labels = torch.full((1, 4, 4), 255, device=device)
    for loss in (
        lambda s, t: upsampled_cross_entropy(s, labels),
        lambda s, t: upsampled_kl(s, t, size=(4, 4), valid=labels != 255),
    ):
        value, gradient = by_kernel(loss, logits, logits + 1)
        assert value == 0
        assert (gradient == 0).all()


def test_excluded_classes_add_nothing_or_make_the_loss_infinite(device: str) -> None:
    student, teacher = (noise(1, 3, 1, 2, seed=seed, device=device) for seed in (0, 1))
    teacher[0, 1, 0, 1] = -torch.inf
    kl: Loss = lambda s, t: upsampled_kl(s, t, size=(4, 8))  # noqa: E731
    assert_as_tiles(kl, student, teacher)
    assert by_kernel(kl, teacher, student)[0] == torch.inf
    labels = torch.zeros(1, 4, 8, dtype=torch.int64, device=device)
    hard: Loss = lambda s, t: upsampled_cross_entropy(s, labels + t.long())  # noqa: E731
    assert_as_tiles(hard, teacher, torch.zeros((), device=device))
    assert by_kernel(hard, teacher, torch.ones((), device=device))[0] == torch.inf


def test_nan_and_large_logits_and_a_loss_without_gradient(device: str) -> None:
    logits = torch.zeros(1, 2, 1, 2, device=device)
    labels = torch.ones(1, 4, 4, dtype=torch.int64, device=device)
    loss: Loss = lambda s, t: upsampled_cross_entropy(s, labels)  # noqa: E731
    logits[:, 0] = 1e4
    assert by_kernel(loss, logits, logits)[0] == 1e4
    assert loss(logits, logits) == 1e4
    logits[:, 0] = torch.nan
    value, gradient = by_kernel(loss, logits, logits)
    assert value.isnan()
    assert gradient.isnan().any()


@pytest.mark.long
def test_nineteen_classes(device: str) -> None:
    student, teacher = (noise(1, 19, 1, 1, seed=seed, device=device) for seed in (0, 1))
    labels = draw_labels(19, 1, 2, 3, device=device)
    assert_as_tiles(lambda s, t: upsampled_cross_entropy(s, labels), student, teacher)
    assert_as_tiles(lambda s, t: upsampled_kl(s, t, size=(2, 3)), student, teacher)


COMPILE = """
import inspect, torch, triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from segdistill.losses.maths import tiled_triton

wide = {"labels": "*i64", "valid": "*u8", "row_starts": "*i32", "column_starts": "*i32"}
wide |= dict.fromkeys(("logits", "student", "teacher"), "*bf16")
wide |= dict.fromkeys(("weights", "losses", "partials"), "*fp32")
wide |= dict.fromkeys(("kept", "spread", "sharpness", "row_scale", "column_scale"), "fp32")
for kernel in (tiled_triton._cross_entropy, tiled_triton._divergence):
    fixed = {"smooth": True, "masked": True, "gradient": True, "down": 8, "along": 8, "across": 8}
    fixed |= {"height": 1, "class_stride": 1}  # Triton fixes arguments that are 1
    names = inspect.signature(kernel.fn).parameters
    fixed = {name: value for name, value in fixed.items() if name in names}
    types = {name: "constexpr" if name in fixed else wide.get(name, "i32") for name in names}
    source = ASTSource(kernel, types, fixed)
    triton.compile(source, target=GPUTarget("cuda", 90, 32), options={"num_warps": 1})
"""


@pytest.mark.long
def test_the_kernels_compile_for_a_gpu_where_there_is_none(tmp_path: Path) -> None:
    environment = os.environ | {"TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", COMPILE],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.gpu
@pytest.mark.skipif(not HAS_GPU, reason="needs a GPU")
@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        ((2, 19, 64, 96, 8), torch.bfloat16),
        ((1, 150, 33, 47, 4), torch.float32),
        ((2, 2, 20, 31, 16), torch.bfloat16),
    ],
)
def test_large_maps_on_a_gpu_have_the_same_bits_twice(
    shape: tuple[int, ...], dtype: torch.dtype
) -> None:
    images, classes, height, width, stride = shape
    size = (stride * height, stride * width - 3)
    maps = [noise(*shape[:4], seed=seed, device="cuda", dtype=dtype) for seed in (0, 1)]
    labels = draw_labels(classes, images, *size, device="cuda")
    losses: tuple[Loss, ...] = (
        lambda s, t: upsampled_cross_entropy(s, labels, label_smoothing=0.1),
        lambda s, t: upsampled_kl(s, t, size=size, temperature=2.0, valid=labels != 255),
    )
    for loss in losses:
        # The tiles place positions in float64, which matters where the scale is not whole.
        assert_as_tiles(loss, *maps, within=1e-4)
        first, second = (by_kernel(loss, *maps) for _ in range(2))
        assert torch.equal(first[0], second[0])
        assert torch.equal(first[1], second[1])


def test_other_maps_and_sizes_are_left_to_the_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    maps = torch.zeros(1, 3, 4, 6)
    assert not launch.fits_kernel((32, 48), maps)
    monkeypatch.setattr(launch, "_DEVICE", "cpu")
    for size in [(8, 12), (32, 48), (29, 192), (128, 192)]:
        assert launch.fits_kernel(size, maps, maps.bfloat16())
    for size in [(4, 6), (8, 11), (2, 3), (129, 192)]:
        assert not launch.fits_kernel(size, maps)
    assert not launch.fits_kernel((32, 48), maps.double())
    assert not launch.fits_kernel((32, 48), maps, maps[:, :, :2])


def test_a_kernel_that_cannot_run_is_told_once_and_replaced_by_tiles(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(launch, "_failed", False)
    calls = []

    def broken(kernels: object, needs_gradient: bool) -> tuple[Tensor, Tensor]:
        calls.append(needs_gradient)
        raise RuntimeError("no compiler")

    def full(kernels: object, needs_gradient: bool) -> tuple[Tensor, Tensor]:
        raise torch.cuda.OutOfMemoryError

    with pytest.raises(torch.cuda.OutOfMemoryError):
        launch.launch(full, True)
    logits = torch.zeros(1, 2, 1, 1)
    with pytest.warns(RuntimeWarning, match="got RuntimeError: no compiler; they are computed"):
        total = tiled.sum_over_tiles(
            lambda values, image, tile: (values.sum() + 2, values), logits, (2, 2), kernel=broken
        )
    assert total == 2
    assert launch.launch(broken, True) is None
    assert calls == [False]


def test_without_triton_nothing_is_launched_or_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert launch.launch(lambda *_: pytest.fail("launched"), True) is None
