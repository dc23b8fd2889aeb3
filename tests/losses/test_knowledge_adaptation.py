"""Knowledge adaptation: its stage before training, its parts, what it refuses."""

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from segdistill.config.loading import check_tree
from segdistill.losses import KnowledgeAdaptation, adaptation, affinity
from segdistill.types import Batch


class InterruptedHereError(Exception):
    """Stands for whatever ends a run: a signal, a full disk."""


def features(step: int) -> Tensor:
    """Rectified features that have something to learn: mixtures of three patterns."""
    generator = torch.Generator().manual_seed(step)
    patterns = torch.randn(3, 6, generator=torch.Generator().manual_seed(99))
    shares = torch.rand(4, 3, 8, 10, generator=generator)
    return torch.einsum("nkhw,kc->nchw", shares, patterns).relu()


def build(**settings: float) -> KnowledgeAdaptation:
    torch.manual_seed(0)
    return KnowledgeAdaptation(4, 6, **settings)  # type: ignore[arg-type]


def maps(seed: int = 0) -> tuple[Tensor, Tensor]:
    student = torch.randn(2, 4, 4, 5, generator=torch.Generator().manual_seed(seed))
    return student, features(100 + seed)[:2]


def test_prepare_learns_to_reconstruct_the_features() -> None:
    module, seen = build(), {}
    module.prepare(features, 60, progress=lambda step, loss: seen.update({step: loss.item()}))
    assert list(seen) == list(range(1, 61))
    assert seen[60] < 0.3 * seen[1]
    # Most of what varies is kept: the error is well below the features' variance, 6 channels.
    assert seen[60] < 0.5 * 6 * features(60).var().item()


def test_an_interrupted_prepare_resumes_to_the_same_bits() -> None:
    whole, interrupted, resumed = build(), build(), KnowledgeAdaptation(4, 6)
    whole.prepare(features, 7)

    def stop(step: int, loss: Tensor) -> None:
        if step == 3:
            raise InterruptedHereError

    with pytest.raises(InterruptedHereError):
        interrupted.prepare(features, 7, progress=stop)
    resumed.load_state_dict(interrupted.state_dict())
    asked = []
    resumed.prepare(lambda step: asked.append(step) or features(step), 7)  # type: ignore[func-returns-value]
    assert asked == [3, 4, 5, 6]
    for name, value in whole.state_dict().items():
        assert_close(resumed.state_dict()[name], value, rtol=0, atol=0)


def test_a_prepared_module_is_not_prepared_again() -> None:
    module = build()
    module.prepare(features, 2)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    module.prepare(features, 2)
    for name, value in module.state_dict().items():
        assert_close(value, before[name], rtol=0, atol=0)


def test_refuses_to_compare_before_prepare_and_after_half_of_it() -> None:
    module = build()
    with pytest.raises(RuntimeError, match=r"trained autoencoder, got 0 of no steps; call prepare"):
        module(*maps())

    def stop(step: int, loss: Tensor) -> None:
        raise InterruptedHereError

    with pytest.raises(InterruptedHereError):
        module.prepare(features, 2, progress=stop)
    with pytest.raises(RuntimeError, match="got 1 of 2 steps; call prepare first"):
        module(*maps())


def test_parts_are_weighted_comparisons_of_adapted_and_encoded_maps() -> None:
    module = build(adapt_weight=3.0, affinity_weight=0.5)
    module.prepare(features, 2)
    student, teacher = maps()
    parts = module(student, teacher)
    encoded = module.autoencoder.encode(teacher)
    assert encoded.shape[2:] == student.shape[2:]
    assert_close(parts["adapt"], 3 * adaptation(module.adapter(student), encoded))
    assert_close(parts["affinity"], 0.5 * affinity(module.affinity_adapter(student), encoded))


def test_published_weights_and_adapters_are_the_defaults() -> None:
    module = build()
    assert (module.adapt_weight, module.affinity_weight) == (50.0, 1.0)
    assert len(module.adapter) == 3
    assert len(build(adapter_layers=1).affinity_adapter) == 1


def test_a_student_of_another_stride_meets_the_resized_code() -> None:
    module = build()
    module.prepare(features, 2)
    student = torch.randn(2, 4, 8, 10)
    assert all(part.isfinite() for part in module(student, maps()[1]).values())


def test_only_the_adapters_learn_while_the_student_does() -> None:
    module = build()
    module.prepare(features, 2)
    module.train()
    student, teacher = maps()
    before = {name: value.clone() for name, value in module.autoencoder.state_dict().items()}
    sum(module(student.requires_grad_(), teacher).values()).backward()
    assert all(parameter.grad is not None for parameter in module.adapter.parameters())
    assert all(parameter.grad is not None for parameter in module.affinity_adapter.parameters())
    assert not any(parameter.requires_grad for parameter in module.autoencoder.parameters())
    for name, value in module.autoencoder.state_dict().items():
        assert_close(value, before[name], rtol=0, atol=0)


def test_a_teachers_features_of_inference_mode_can_be_learnt_from() -> None:
    module = build()

    def made(step: int) -> Tensor:
        with torch.inference_mode():
            return features(step) * 1

    with torch.no_grad():
        module.prepare(made, 2)
    assert module.prepared.value == 2


def test_refuses_what_it_was_not_built_for() -> None:
    module = build()
    with pytest.raises(ValueError, match=r"expected features \(N, 6, H, W\), got \(2, 4, 4, 5\)"):
        module.prepare(lambda step: maps()[0], 1)
    with pytest.raises(ValueError, match="expected steps > 0"):
        module.prepare(features, 0)
    with pytest.raises(ValueError, match="KnowledgeAdaptation: expected p >= 1"):
        build(p=0.5)


def test_the_l1_form_can_be_had_from_a_config() -> None:
    tree = {
        "data": {"dataset": "scenes", "crop": [32, 32]},
        "teacher": {"network": "lraspp"},
        "student": {"network": "lraspp"},
        "distill": [{"loss": "knowledge_adaptation", "p": 1}],
        "training": {"steps": 1},
    }
    settings = check_tree(tree).distill[0].settings()
    module = build(**settings)
    module.prepare(features, 1)
    module.eval()
    student, teacher = maps()
    code = module.autoencoder.encode(teacher)
    expected = 50 * adaptation(module.adapter(student), code, p=1.0, q=2.0)
    assert_close(module(student, teacher)["adapt"], expected)


def test_the_encoder_does_not_see_what_is_padded() -> None:
    module = build()
    module.prepare(features, 1)
    module.eval()
    student, teacher = maps()
    labels = torch.zeros(2, 8, 10, dtype=torch.int64)
    valid = torch.ones(2, 8, 10, dtype=torch.bool)
    valid[:, :, 6:] = False
    batch = Batch(torch.zeros(2, 3, 8, 10, dtype=torch.uint8), labels, valid)
    expected = module(student, teacher, batch)
    student[..., 3:], teacher[..., 6:] = 9.0, -9.0
    for part, value in module(student, teacher, batch).items():
        assert_close(value, expected[part])
    cropped = module(student[..., :3], teacher[..., :6])
    for part, value in cropped.items():
        assert_close(value, expected[part])  # no batch norm in training: as if cut off


def test_padding_does_not_count_in_the_stage_before_training() -> None:
    def valid(step: int) -> Tensor:
        positions = torch.ones(4, 8, 10, dtype=torch.bool)
        positions[:, :, 6:] = False
        return positions

    def spoilt(step: int) -> Tensor:
        return features(step).masked_fill(~valid(step)[:, None], 50.0)

    losses: list[list[float]] = [[], []]
    for seen, made in zip(losses, (features, spoilt), strict=True):
        module = build()
        module.prepare(
            made, 3, valid=valid, progress=lambda step, x, seen=seen: seen.append(x.item())
        )  # type: ignore[misc]
    assert_close(losses[0], losses[1])
