"""Holistic distillation: the equations with critics whose scores are known."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from segdistill.losses import Holistic, critic_loss, generator_loss, hinge_critic_loss
from segdistill.types import Batch

SHAPE = (2, 3, 12, 16)


def maps(seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(SHAPE, generator=generator, dtype=torch.float64)


def images() -> Tensor:
    return torch.rand(2, 3, 24, 32, generator=torch.Generator().manual_seed(9)).double()


def linear(weight: Tensor, image_weight: float = 0.0):  # type: ignore[no-untyped-def]  # noqa: ANN201
    """A critic whose slope is ``weight`` everywhere."""

    def critic(given: Tensor, pictures: Tensor) -> Tensor:
        return (given * weight).sum(dim=(1, 2, 3)) + image_weight * pictures.sum(dim=(1, 2, 3))

    return critic


def quadratic(given: Tensor, pictures: Tensor) -> Tensor:
    return given.square().sum(dim=(1, 2, 3)) / 2


def batch(seed: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    pictures = torch.randint(0, 256, (2, 3, 24, 32), generator=generator).to(torch.uint8)
    return Batch(pictures, torch.zeros(2, 24, 32).long(), torch.ones(2, 24, 32).bool())


def build(**settings: Any) -> Holistic:
    torch.manual_seed(0)
    return Holistic(classes=3, width=8, **settings).double()


def test_the_critics_loss_is_the_distance_and_ten_times_the_penalty() -> None:
    # A linear critic has the same slope between all points: ‖∇D‖ = ‖w‖.
    student, teacher, weight = maps(1), maps(2), maps(3)[:1] / 10
    scores = [float((x * weight).sum()) / 2 for x in (student, teacher)]
    expected = scores[0] - scores[1] + 10 * (float(weight.norm()) - 1) ** 2
    loss = critic_loss(linear(weight), student, teacher, images())
    assert_close(loss, torch.tensor(expected, dtype=torch.float64))
    without = critic_loss(linear(weight), student, teacher, images(), penalty_weight=0)
    assert_close(without, torch.tensor(scores[0] - scores[1], dtype=torch.float64))


def test_the_penalty_is_taken_at_points_between_the_maps() -> None:
    # The slope of ‖z‖²/2 is z. With x = 0 and y of length 4, z has length 4 s for the share s.
    student, teacher = torch.zeros(SHAPE).double(), maps(1)
    teacher = teacher / teacher.flatten(1).norm(dim=1)[:, None, None, None] * 4
    values = []
    for seed in range(30):
        loss = critic_loss(quadratic, student, teacher, images(), penalty_weight=1.0, seed=seed)
        penalty = loss.item() + 8.0  # the distance is 0 - 16 / 2
        assert -1e-9 <= penalty <= 9 + 1e-9
        values.append(penalty)
        again = critic_loss(quadratic, student, teacher, images(), penalty_weight=1.0, seed=seed)
        assert_close(again, loss, rtol=0, atol=0)
    assert max(values) - min(values) > 1


def test_the_hinge_form_equals_its_equation() -> None:
    student, teacher, weight = maps(1), maps(2), maps(3)[:1] / 20
    score = linear(weight)
    worse, better = (score(x, images()).tolist() for x in (student, teacher))
    expected = sum(max(0.0, 1 + d) for d in worse) / 2 + sum(max(0.0, 1 - d) for d in better) / 2
    loss = hinge_critic_loss(score, student, teacher, images())
    assert_close(loss, torch.tensor(expected, dtype=torch.float64))
    assert min(worse + better) < -1 or max(worse + better) > 1  # a hinge is at work


def test_the_students_loss_is_minus_the_score() -> None:
    student, weight = maps(1).requires_grad_(), maps(3)[:1]
    loss = generator_loss(linear(weight, 0.5), student, images())
    expected = -((student.detach() * weight).sum().item() / 2 + images().sum().item() / 4)
    assert_close(loss, torch.tensor(expected, dtype=torch.float64))
    loss.backward()
    assert_close(student.grad, -weight.expand(2, -1, -1, -1) / 2)


def test_the_critics_loss_teaches_the_critic_alone() -> None:
    student, teacher = maps(1).requires_grad_(), maps(2).requires_grad_()
    module = build()
    module.adversary.loss(student, teacher, batch()).backward()
    assert student.grad is None
    assert teacher.grad is None
    assert all(parameter.grad is not None for parameter in module.critic.parameters())


def test_the_students_loss_sends_no_gradient_to_the_critic() -> None:
    student = maps(1).requires_grad_()
    module = build()
    module(student, maps(2), batch()).backward()
    assert student.grad is not None
    assert student.grad.abs().max() > 0
    assert all(parameter.grad is None for parameter in module.critic.parameters())
    assert all(parameter.requires_grad for parameter in module.critic.parameters())


def test_the_critic_sees_logits_which_are_real_valued() -> None:
    module = build().eval()
    expected = generator_loss(module.critic, maps(1), batch().images)
    assert_close(module(maps(1), maps(2), batch()), expected)


def test_the_critic_sees_probabilities_where_that_is_asked_for() -> None:
    module = build(softmax=True).eval()
    student = maps(1)
    assert_close(module(student + 4.0, maps(2), batch()), module(student, maps(2), batch()))
    expected = generator_loss(module.critic, student.softmax(dim=1), batch().images)
    assert_close(module(student, maps(2), batch()), expected)


def test_logits_give_the_student_a_gradient_that_probabilities_make_small() -> None:
    slopes = []
    for softmax in (False, True):
        student = (3 * maps(1)).requires_grad_()
        build(softmax=softmax).eval()(student, maps(2), batch()).backward()
        assert student.grad is not None
        slopes.append(student.grad.norm())
    assert slopes[0] > 5 * slopes[1]


@pytest.mark.parametrize("softmax", [False, True])
def test_the_score_is_of_what_the_critic_learns_from(softmax: bool) -> None:
    module = build(softmax=softmax).eval()
    expected = -module(maps(1), maps(2), batch())
    assert_close(module.adversary.score(maps(1), batch().images).mean(), expected)


def test_what_is_padded_tells_the_critic_nothing() -> None:
    module = build().eval()
    given = batch()
    given.valid[:, :, -8:] = False  # four columns of the map
    other = maps(1)
    other[..., -4:] = 100.0
    assert_close(module(other, maps(2), given), module(maps(1), maps(2), given))
    assert_close(module.critic_loss(other, maps(2), given) * 0, torch.tensor(0.0).double())


def test_skds_own_optimiser_can_be_asked_for() -> None:
    module = build(optimizer="sgd", weight_decay=5e-4, critic_weight=0.1, scheduled=True)
    adversary = module.adversary
    assert (adversary.optimizer, adversary.learning_rate, adversary.momentum) == ("sgd", 4e-4, 0.9)
    assert (adversary.weight_decay, adversary.scheduled) == (5e-4, True)
    whole, tenth = (m.eval().critic_loss(maps(1), maps(2), batch()) for m in (build(), module))
    assert_close(tenth, 0.1 * whole)


def test_the_critic_can_be_taught_by_the_hinge_form() -> None:
    module = build(hinge=True, critic_weight=0.5).eval()
    expected = 0.5 * hinge_critic_loss(module.critic, maps(1), maps(2), batch().images)
    assert_close(module.critic_loss(maps(1), maps(2), batch()), expected)


def test_the_default_is_the_adam_of_ifvds_and_cirkds_code() -> None:
    adversary = build().adversary
    assert (adversary.optimizer, adversary.learning_rate) == ("adam", 4e-4)
    assert (adversary.betas, adversary.weight_decay) == ((0.9, 0.99), 0.0)


def test_a_critic_that_is_stepped_learns_to_tell_the_maps_apart() -> None:
    module = build().float()
    adversary = module.adversary
    optimizer = torch.optim.Adam(
        adversary.critic.parameters(), lr=adversary.learning_rate, betas=adversary.betas
    )
    student, teacher = torch.zeros(SHAPE), torch.zeros(SHAPE)
    student[:, 0], teacher[:, 1] = 4.0, 4.0
    losses = []
    for _ in range(25):
        loss = adversary.loss(student, teacher, batch())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-5:]) < sum(losses[:5]) - 1
    scores = [module.critic(x, batch().images).mean() for x in (student, teacher)]
    assert scores[1] > scores[0]


def test_each_step_takes_the_penalty_at_other_points() -> None:
    module = build().eval()  # the critic itself stands still
    losses = [module.critic_loss(maps(1), maps(2), batch()).item() for _ in range(3)]
    assert len(set(losses)) == 3


def test_a_resumed_critic_goes_on_with_the_same_bits() -> None:
    module, resumed = build(), Holistic(classes=3, width=8).double()
    module.critic_loss(maps(1), maps(2), batch())
    resumed.load_state_dict(module.state_dict())
    losses = [one.critic_loss(maps(3), maps(4), batch()) for one in (module, resumed)]
    assert_close(losses[0], losses[1], rtol=0, atol=0)
    assert resumed.steps.value == 2


def test_refuses_maps_of_other_shapes_and_a_negative_penalty() -> None:
    with pytest.raises(ValueError, match="critic_loss: expected equal shapes"):
        critic_loss(quadratic, maps(1), maps(2)[..., 1:], images())
    with pytest.raises(ValueError, match="hinge_critic_loss: expected equal channel counts"):
        hinge_critic_loss(quadratic, maps(1), maps(2)[:, 1:], images())
    with pytest.raises(ValueError, match="critic_loss: expected penalty_weight > 0"):
        critic_loss(quadratic, maps(1), maps(2), images(), penalty_weight=-1.0)
