"""Logit standardisation: the equation in plain floats, extremes, and in every logit loss."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from segdistill.catalogue.losses import LOSSES
from segdistill.config.loading import check_tree
from segdistill.errors import ConfigError
from segdistill.losses import pixelwise_kl, standardize_logits
from segdistill.testing import rows
from segdistill.training.objective import build_objective
from segdistill.training.term import Term
from segdistill.types import Batch

OF_LOGITS = sorted(name for name, row in LOSSES.items() if row.tap == "logits")
CLASSIFIER = nn.Conv2d(4, 4, kernel_size=1)


def maps(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return 3 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def reference(values: list[float]) -> list[float]:
    mean = sum(values) / len(values)
    deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / len(values))
    return [(value - mean) / deviation for value in values]


def term(name: str, *, standardize: bool) -> Term:
    settings = rows.small_settings(name, 4)
    tree = {
        "data": {"dataset": "scenes", "crop": [32, 32]},
        "teacher": {"network": "lraspp"},
        "student": {"network": "lraspp"},
        "distill": [{"loss": name, "standardize": standardize, **settings}],
        "training": {"steps": 1},
    }
    objective = build_objective(
        check_tree(tree).distill,
        student_channels=dict.fromkeys(["logits", "head", "backbone"], 4),
        teacher_channels=dict.fromkeys(["logits", "head", "backbone"], 4),
        classes=4,
        auxiliary_weight=0.4,
        label_smoothing=0.0,
        seed=0,
        classifier=CLASSIFIER,
    )
    return objective.terms[name]


def test_equals_the_equation_over_classes() -> None:
    logits = maps(2, 4, 3, 5)
    result = standardize_logits(logits)
    for n in range(2):
        for i in range(3):
            for j in range(5):
                expected = torch.tensor(reference(logits[n, :, i, j].tolist()), dtype=logits.dtype)
                assert_close(result[n, :, i, j], expected)


def test_gradient_is_right_for_ordinary_and_for_equal_logits() -> None:
    logits = maps(2, 3, 2, 3)
    assert torch.autograd.gradcheck(standardize_logits, logits.clone().requires_grad_())
    level = (1e-6 * logits).requires_grad_()
    assert torch.autograd.gradcheck(standardize_logits, level, eps=1e-9, rtol=1e-4)


def test_a_map_of_one_value_gives_zeros_with_a_bounded_gradient() -> None:
    logits = torch.full((1, 3, 2, 2), 7.0, requires_grad=True)
    result = standardize_logits(logits)
    (result * maps(1, 3, 2, 2, dtype=torch.float32)).sum().backward()
    assert_close(result, torch.zeros_like(result))
    assert logits.grad is not None
    assert logits.grad.abs().max() < 1e5


def test_a_class_that_is_excluded_stays_so_and_does_not_count() -> None:
    logits = maps(1, 4, 2, 2)
    without = standardize_logits(logits[:, [0, 2, 3]])
    logits[:, 1] = -torch.inf
    result = standardize_logits(logits)
    assert result[:, 1].isneginf().all()
    assert_close(result[:, [0, 2, 3]], without)


@pytest.mark.parametrize("name", OF_LOGITS)
def test_every_logit_loss_compares_standardised_logits(name: str) -> None:
    student, teacher = maps(2, 4, 3, 5, seed=1).float(), maps(2, 4, 3, 5, seed=2).float()
    labels = torch.randint(0, 4, (2, 3, 5), generator=torch.Generator().manual_seed(3))
    batch = Batch(torch.zeros(2, 3, 3, 5, dtype=torch.uint8), labels, labels >= 0)
    with_it, without = term(name, standardize=True), term(name, standardize=False)
    for each in (with_it, without):
        rows.prepare(name, each.loss, standardize_logits(teacher), batch, 1)
    beside = [(student**power, teacher**power) for power, _ in enumerate(without.beside, 1)]
    given = standardize_logits(student), standardize_logits(teacher), batch
    expected = without(*given, beside=beside)
    value = with_it(student, teacher, batch, beside=beside)
    assert_close(value, expected)
    shifted = term(name, standardize=True)
    rows.prepare(name, shifted.loss, standardize_logits(teacher), batch, 1)
    shifted = shifted(5 * student - 2, 0.1 * teacher + 7, batch, beside=beside)
    assert_close(shifted, expected, rtol=1e-4, atol=1e-5)


def test_the_critic_sees_standardised_logits_too() -> None:
    holistic = term("holistic", standardize=True)
    student, teacher = maps(2, 4, 3, 5, seed=1).float(), maps(2, 4, 3, 5, seed=2).float()
    images = torch.zeros(2, 3, 3, 5, dtype=torch.uint8)
    holistic(student, teacher, Batch(images, torch.zeros(2, 3, 5).long(), torch.ones(2, 3, 5) > 0))
    seen, target, _ = holistic.compared()
    assert_close(seen, standardize_logits(student))
    assert_close(target, standardize_logits(teacher))


def test_a_loss_of_features_refuses_it() -> None:
    with pytest.raises(ConfigError, match=r"distill\.0\.standardize: .*a loss of logits, got att"):
        check_tree(
            {
                "data": {"dataset": "scenes", "crop": [32, 32]},
                "teacher": {"network": "lraspp"},
                "student": {"network": "lraspp"},
                "distill": [{"loss": "attention", "standardize": True}],
                "training": {"steps": 1},
            }
        )


def test_a_run_without_it_keeps_the_hash_it_had_before_the_key() -> None:
    tree = {
        "data": {"dataset": "scenes", "crop": [32, 32]},
        "teacher": {"network": "lraspp"},
        "student": {"network": "lraspp"},
        "distill": [{"loss": "pixelwise_kl"}],
        "training": {"steps": 1},
    }
    config = check_tree(tree)
    assert "standardize" not in config.tree()["distill"][0]
    tree["distill"] = [{"loss": "pixelwise_kl", "standardize": True}]
    assert check_tree(tree).tree()["distill"][0]["standardize"] is True
    assert check_tree(tree).hash() != config.hash()


def test_half_precision_is_standardised_in_float32() -> None:
    logits = maps(1, 4, 3, 3).bfloat16()
    assert standardize_logits(logits).dtype == torch.float32
    assert pixelwise_kl(standardize_logits(logits), standardize_logits(2 * logits)) < 1e-3


@pytest.mark.parametrize("shape", [(2, 3, 4), (2, 1, 4, 4)])
def test_refuses_what_has_no_classes_to_standardise_over(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"standardize_logits: .*at least 2 classes"):
        standardize_logits(torch.zeros(shape))
