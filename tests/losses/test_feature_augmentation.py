"""Feature augmentation: the bound and the moments in plain loops, gradient, refusals."""

import math

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from segdistill.losses import FeatureAugmentation, augmented_logits, channelwise_kl, pixelwise_kl
from segdistill.types import Batch


def maps(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(*shape, generator=generator, dtype=torch.float64)


def labels(*shape: int) -> Tensor:
    drawn = torch.randint(0, 3, shape, generator=torch.Generator().manual_seed(9))
    drawn[0, 0] = 255
    return drawn


def test_the_bound_equals_the_equation() -> None:
    logits, given = maps(2, 3, 2, 4, seed=1), labels(2, 2, 4)
    weight, variance = maps(3, 5, seed=2), maps(3, 5, seed=3).square()
    result = augmented_logits(logits, given, weight, variance, strength=0.6)
    for n in range(2):
        for i in range(2):
            for j in range(4):
                y = int(given[n, i, j])
                for k in range(3):
                    added = 0.0
                    if y != 255:
                        added = 0.3 * sum(
                            float(variance[y, c] * (weight[k, c] - weight[y, c]) ** 2)
                            for c in range(5)
                        )
                    assert math.isclose(
                        float(result[n, k, i, j]), float(logits[n, k, i, j]) + added, rel_tol=1e-9
                    )


def test_it_bounds_the_expected_cross_entropy_of_varied_features() -> None:
    generator = torch.Generator().manual_seed(0)
    weight, variance = maps(3, 4, seed=2), maps(3, 4, seed=3).square()
    feature, label = maps(4, seed=4), torch.zeros(1, 1, 1, dtype=torch.int64)
    drawn = feature + torch.randn(50000, 4, generator=generator).double() * variance[0].sqrt()
    zeros = torch.zeros(50000, dtype=torch.int64)
    expected = torch.nn.functional.cross_entropy(drawn @ weight.T, zeros)
    logits = (weight @ feature).reshape(1, 3, 1, 1)
    bound = torch.nn.functional.cross_entropy(
        augmented_logits(logits, label, weight, variance, strength=1.0), label
    )
    assert expected < bound


def built(**settings: float) -> FeatureAugmentation:
    torch.manual_seed(0)
    return FeatureAugmentation(torch.nn.Conv2d(5, 3, 1).double(), **settings)  # type: ignore[arg-type]


def step(module: FeatureAugmentation, seed: int) -> tuple[Tensor, Tensor]:
    features, given = maps(2, 5, 2, 4, seed=seed), labels(2, 2, 4)
    batch = Batch(torch.zeros(2, 3, 2, 4), given, torch.ones(2, 2, 4) > 0)
    logits = module._classifier[0](features)
    module(logits, maps(2, 3, 2, 4, seed=7), batch, beside=[(features, features)])
    return features, given


def test_moments_are_those_of_all_steps() -> None:
    module = built()
    seen = [step(module, seed) for seed in range(3)]
    for k in range(3):
        pixels = torch.cat([f.movedim(1, 3)[given == k] for f, given in seen])
        assert_close(module.variance[k], pixels.var(dim=0, correction=0))
        assert_close(module.mean[k], pixels.mean(dim=0))
    before = module.variance.clone()
    module.eval()
    step(module, 4)
    assert torch.equal(module.variance, before)


def test_compares_by_channel_or_by_pixel_with_a_strength_that_rises() -> None:
    for channelwise, function in ((True, channelwise_kl), (False, pixelwise_kl)):
        module = built(strength=0.8, ramp=4, channelwise=channelwise, temperature=2.0)
        for done in range(2):
            step(module, done)
        features, given = maps(2, 5, 2, 4, seed=9), labels(2, 2, 4)
        teacher, batch = maps(2, 3, 2, 4, seed=7), None
        batch = Batch(torch.zeros(2, 3, 2, 4), given, torch.ones(2, 2, 4) > 0)
        module.eval()
        weight = module._classifier[0].weight.flatten(1)
        logits = module._classifier[0](features)
        augmented = augmented_logits(logits, given, weight, module.variance, strength=0.8 * 3 / 4)
        value = module(logits, teacher, batch, beside=[(features, features)])
        assert_close(value, function(augmented, teacher, temperature=2.0))


def test_gradient_is_right_for_logits_and_weight() -> None:
    logits, given, variance = maps(1, 3, 2, 2, seed=1), labels(1, 2, 2), maps(3, 4).square()
    weight = maps(3, 4, seed=2).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda z, w: augmented_logits(z, given, w, variance), (logits.requires_grad_(), weight)
    )


def test_the_classifier_stays_the_students() -> None:
    module = built()
    assert not list(module.parameters())
    assert not any("classifier" in key for key in module.state_dict())


def test_refuses_a_classifier_that_is_not_linear_and_features_that_are_not_its_input() -> None:
    for other in (torch.nn.Conv2d(5, 3, 3), torch.nn.Linear(5, 3), torch.nn.Identity()):
        with pytest.raises(ValueError, match="logits are made by one 1x1 convolution, got"):
            FeatureAugmentation(other)
    module, given = built(), labels(2, 2, 4)
    batch = Batch(torch.zeros(2, 3, 2, 4), given, given >= 0)
    other = maps(2, 4, 2, 4)
    with pytest.raises(ValueError, match=r"one map of 5 channels beside the logits.*got \[4\]"):
        module(maps(2, 3, 2, 4), maps(2, 3, 2, 4), batch, beside=[(other, other)])
