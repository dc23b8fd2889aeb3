"""Diffusion distillation: the reverse steps in plain floats, what each part compares and trains."""

import math

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from segdistill.losses import Diffusion, denoise
from segdistill.losses.maths.gather import draw_normal, draw_uniform
from segdistill.types import Batch

CPU = torch.device("cpu")


def maps(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(*shape, generator=generator, dtype=torch.float64)


def built(student: int = 3, teacher: int = 4, seed: int = 0, **settings: float) -> Diffusion:
    torch.manual_seed(0)
    module = Diffusion(student, teacher, seed=seed, **settings).double()  # type: ignore[arg-type]
    for norm in (x for x in module.modules() if isinstance(x, torch.nn.BatchNorm2d)):
        torch.nn.init.uniform_(norm.running_var, 0.5, 2.0)
    return module.eval()


def kept(time: int) -> float:
    """The share that is not noise, from the betas that the authors' code has."""
    value = 1.0
    for k in range(time + 1):
        value *= 1 - (1e-4 + (0.02 - 1e-4) * k / 999)
    return value


def test_the_reverse_steps_are_those_of_the_deterministic_diffusion() -> None:
    value, seen = 0.7, []
    for time in (400, 300, 200, 100, 0):
        noise = 0.3 * value + time / 1000
        clean = (value - math.sqrt(1 - kept(time)) * noise) / math.sqrt(kept(time))
        after = kept(time - 100) if time else 1.0
        value = math.sqrt(after) * clean + math.sqrt(1 - after) * noise

    def predict(maps: Tensor, time: int) -> Tensor:
        seen.append(time)
        return 0.3 * maps + time / 1000

    found = denoise(predict, torch.tensor(0.7, dtype=torch.float64))
    assert_close(found, torch.tensor(value, dtype=torch.float64))
    assert seen == [400, 300, 200, 100, 0]


@pytest.mark.parametrize("steps", [1, 2, 5, 500])
def test_noise_that_is_known_is_removed_whole(steps: int) -> None:
    clean, noise = maps(2, 3, 4, 5, seed=1), maps(2, 3, 4, 5, seed=2)
    share = kept((steps - 1) * (1000 // (2 * steps)))
    noisy = math.sqrt(share) * clean + math.sqrt(1 - share) * noise
    assert_close(denoise(lambda maps, time: noise, noisy, steps=steps), clean)


def test_match_compares_the_denoised_map_with_the_code() -> None:
    module = built(seed=5)
    student, teacher = maps(2, 3, 4, 5, seed=1), maps(2, 4, 4, 5, seed=2)
    aligned = module.align(student)
    mean = module.matcher.block(aligned, None).mean(dim=(2, 3))
    share = module.matcher.share(mean).softmax(dim=1)[:, 0].reshape(2, 1, 1, 1)
    noise = draw_normal(5, "start", 0, shape=(2, 2, 4, 5), device=CPU)
    refined = share * aligned + (1 - share) * noise
    for time in (400, 300, 200, 100, 0):
        predicted = module.denoiser(refined, torch.tensor([time]), None)
        clean = (refined - math.sqrt(1 - kept(time)) * predicted) / math.sqrt(kept(time))
        after = kept(time - 100) if time else 1.0
        refined = math.sqrt(after) * clean + math.sqrt(1 - after) * predicted
    expected = (module.project(refined) - module.encode(teacher)).square().mean()
    assert_close(module(student, teacher)["match"], expected)


def test_noise_and_code_are_mean_squared_errors_of_the_teachers_map() -> None:
    module = built(seed=5, noise_weight=2.0, code_weight=3.0)
    student, teacher = maps(2, 3, 4, 5, seed=1), maps(2, 4, 4, 5, seed=2)
    code = module.encode(teacher)
    parts = module(student, teacher)
    assert_close(parts["code"], 3 * (module.decode(code) - teacher).square().mean())
    drawn = draw_normal(5, "noise", 0, shape=(2, 2, 4, 5), device=CPU).double()
    places = draw_uniform(5, "time", 0, shape=(2,), device=CPU)
    errors = []
    for n, place in enumerate(places.tolist()):
        time = int(place * 1000)
        noisy = math.sqrt(kept(time)) * code[n] + math.sqrt(1 - kept(time)) * drawn[n]
        told = module.denoiser(noisy[None], torch.tensor([time]), None)[0]
        errors.append((told - drawn[n]).square().mean())
    assert_close(parts["noise"], 2 * torch.stack(errors).mean())


def trained_by(part: str) -> set[str]:
    module = built()
    module(maps(2, 3, 4, 5, seed=1), maps(2, 4, 4, 5, seed=2))[part].backward()
    return {
        name.split(".")[0]
        for name, parameter in module.named_parameters()
        if parameter.grad is not None and parameter.grad.abs().max() > 0
    }


def test_each_part_trains_its_own_layers() -> None:
    assert trained_by("match") == {"align", "matcher", "denoiser", "project"}
    assert trained_by("noise") == {"denoiser"}
    assert trained_by("code") == {"encode", "decode"}


def test_draws_are_a_function_of_seed_and_step_and_a_checkpoint_goes_on() -> None:
    student, teacher = maps(2, 3, 4, 5, seed=1), maps(2, 4, 4, 5, seed=2)

    def values(module: Diffusion, steps: int) -> list[Tensor]:
        module.train()
        return [module(student, teacher)["noise"].detach() for _ in range(steps)]

    first = values(built(seed=1), 2)
    assert not torch.equal(*first)
    assert torch.equal(values(built(seed=1), 2)[1], first[1])
    assert not torch.equal(values(built(seed=2), 1)[0], first[0])
    module, resumed = built(seed=1), built(seed=1)
    values(module, 1)
    resumed.load_state_dict(module.state_dict())
    assert torch.equal(values(resumed, 1)[0], first[1])


def test_gradient_is_right() -> None:
    module = built()
    student, teacher = maps(1, 3, 2, 3, seed=1).requires_grad_(), maps(1, 4, 2, 3, seed=2)
    assert torch.autograd.gradcheck(lambda s: module(s, teacher)["match"], student)


def test_padded_positions_reach_no_other() -> None:
    module = built()
    student, teacher = maps(2, 3, 4, 7, seed=1), maps(2, 4, 4, 7, seed=2)
    valid = torch.ones(2, 4, 7, dtype=torch.bool)
    valid[..., 5:] = False
    batch = Batch(torch.zeros(2, 3, 4, 7), torch.zeros(2, 4, 7), valid)
    expected = module(student, teacher, batch)
    student[..., 5:], teacher[..., 5:] = 99.0, -99.0
    assert_close(module(student, teacher, batch), expected)


def test_refuses_settings_out_of_range() -> None:
    with pytest.raises(ValueError, match="Diffusion: expected reduction > 0"):
        built(reduction=0)
    with pytest.raises(ValueError, match="denoise: expected steps <= 500, got 501"):
        denoise(lambda maps, time: maps, torch.zeros(1), steps=501)
