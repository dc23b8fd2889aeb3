"""Draws are functions of seed, purpose and position, and of nothing else."""

import torch

from segdistill.seeding import derive, draws, torch_generator


def test_equal_arguments_give_equal_draws() -> None:
    assert derive(3, "crop", 1, 2) == derive(3, "crop", 1, 2)
    assert draws(3, "crop", 1).random() == draws(3, "crop", 1).random()
    first = torch.rand(4, generator=torch_generator(3, "noise", 7))
    assert torch.equal(first, torch.rand(4, generator=torch_generator(3, "noise", 7)))


def test_every_argument_matters() -> None:
    seeds = {
        derive(seed, purpose, *position)
        for seed in (0, 1, 12)
        for purpose in ("order", "crop")
        for position in ((), (1,), (1, 2), (12,), (2, 1))
    }
    assert len(seeds) == 3 * 2 * 5


def test_a_derived_seed_is_the_same_on_every_machine() -> None:
    # A changed value here changes every run that anybody wants to repeat.
    assert derive(0, "order", 0) == 1829853113658518448
    assert 0 <= derive(-5, "x") < 2**63


def test_the_global_random_state_is_not_touched() -> None:
    before = torch.get_rng_state()
    draws(0, "a").random()
    torch.rand(3, generator=torch_generator(0, "a"))
    assert torch.equal(before, torch.get_rng_state())
