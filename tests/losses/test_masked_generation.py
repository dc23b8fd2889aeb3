"""Masked generation: which positions are dropped, what is generated, what is compared."""

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from segdistill.losses import MaskedGeneration


def maps(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def build(student: int = 3, teacher: int = 5, **settings: float) -> MaskedGeneration:
    torch.manual_seed(0)
    return MaskedGeneration(student, teacher, **settings)  # type: ignore[arg-type]


def seen_by(module: MaskedGeneration, student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """Return the loss and what came into the generating layers."""
    inputs: list[Tensor] = []
    hook = module.generate[0].register_forward_pre_hook(lambda _, given: inputs.append(given[0]))
    loss = module(student, teacher)
    hook.remove()
    return loss, inputs[0]


def test_is_the_mean_squared_error_of_what_is_generated_from_the_rest() -> None:
    module, student, teacher = build(), maps(2, 3, 6, 7, seed=1), maps(2, 5, 6, 7, seed=2)
    loss, seen = seen_by(module, student, teacher)
    aligned = module.align(student)
    kept = (seen != 0).any(dim=1, keepdim=True)
    assert_close(seen, aligned * kept)
    first, second = module.generate[0], module.generate[2]
    hidden = torch.nn.functional.conv2d(seen, first.weight, first.bias, padding=1).clamp_min(0)
    generated = torch.nn.functional.conv2d(hidden, second.weight, second.bias, padding=1)
    assert_close(loss, (generated - teacher).square().mean())


def test_without_alignment_nothing_stands_before_the_mask() -> None:
    module, student = build(4, 4, drop=0.0), maps(1, 4, 5, 6)
    _, seen = seen_by(module, student, maps(1, 4, 5, 6, seed=1))
    assert_close(seen, student)


def test_drops_whole_positions_with_the_given_probability() -> None:
    module = build(4, 4, drop=0.75)
    _, seen = seen_by(module, torch.ones(4, 4, 60, 50), maps(4, 4, 60, 50))
    kept = seen != 0
    assert_close(kept.all(dim=1), kept.any(dim=1))
    # 12 000 positions: a standard deviation of 0.004.
    assert abs(kept.float().mean().item() - 0.25) < 0.02
    assert not torch.equal(kept[0], kept[1])


def test_masks_are_a_function_of_seed_and_step() -> None:
    student, teacher = torch.ones(1, 4, 9, 9), maps(1, 4, 9, 9)

    def masks(seed: int) -> list[Tensor]:
        module = build(4, 4, seed=seed)
        return [seen_by(module, student, teacher)[1] for _ in range(2)]

    first, second = masks(1)
    assert not torch.equal(first, second)
    assert_close(masks(1)[1], second, rtol=0, atol=0)
    assert not torch.equal(masks(2)[0], first)


def test_a_resumed_module_goes_on_with_the_same_bits() -> None:
    student, teacher = maps(1, 3, 6, 7, seed=1), maps(1, 5, 6, 7, seed=2)
    module, resumed = build(), MaskedGeneration(3, 5)
    module(student, teacher)
    resumed.load_state_dict(module.state_dict())
    assert_close(resumed(student, teacher), module(student, teacher), rtol=0, atol=0)


def test_gradient_is_right_and_reaches_the_layers() -> None:
    module = build().double().eval()  # the step, and so the mask, stands still
    student = maps(1, 3, 3, 4, seed=1).double().requires_grad_()
    teacher = maps(1, 5, 3, 4, seed=2).double()
    assert torch.autograd.gradcheck(lambda s: module(s, teacher), student)
    module(student, teacher).backward()
    assert all(parameter.grad is not None for parameter in module.parameters())


def test_refuses_widths_it_was_not_built_for_and_drops_out_of_range() -> None:
    with pytest.raises(ValueError, match=r"expected 3 channels .* 5 of the teacher, got 3 and 4"):
        build()(maps(1, 3, 4, 4), maps(1, 4, 4, 4))
    for drop in (-0.1, 1.0):
        with pytest.raises(ValueError, match="MaskedGeneration: expected 0 <= drop < 1"):
            build(drop=drop)
