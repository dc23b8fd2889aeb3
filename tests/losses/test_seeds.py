"""Every random draw of every loss: a function of the learner's seed, and of nothing else."""

import pytest
import torch
from torch import Tensor, nn

from segdistill import seeding
from segdistill.catalogue.losses import LOSSES
from segdistill.config.loading import check_tree
from segdistill.losses import holistic
from segdistill.testing import rows
from segdistill.training.objective import build_objective
from segdistill.training.term import Term
from segdistill.types import Batch

CLASSES = 4
CLASSIFIER = nn.Conv2d(CLASSES, CLASSES, kernel_size=1)


def term(name: str, seed: int) -> Term:
    small = rows.small_settings(name, CLASSES)
    tree = {
        "data": {"dataset": "scenes", "crop": [32, 32]},
        "teacher": {"network": "lraspp"},
        "student": {"network": "lraspp"},
        "distill": [{"loss": name, "project": "none", **small}],
        "training": {"steps": 1},
    }
    checked = check_tree(tree)
    channels = dict.fromkeys(checked.distill[0].taps, CLASSES)
    objective = build_objective(
        checked.distill,
        student_channels=channels,
        teacher_channels=channels,
        classes=CLASSES,
        auxiliary_weight=0.4,
        label_smoothing=0.0,
        seed=seed,
        classifier=CLASSIFIER,
    )
    return objective.terms[name]


def run(name: str, seed: int) -> nn.Module:
    """Build a loss and take two steps with it, its critic's included."""
    built = term(name, seed)
    generator = torch.Generator().manual_seed(0)
    student, teacher = torch.randn(2, 2, CLASSES, 6, 6, generator=generator)
    labels = torch.randint(0, CLASSES, (2, 6, 6), generator=generator)
    batch = Batch(torch.zeros(2, 3, 6, 6, dtype=torch.uint8), labels, labels >= 0)
    rows.prepare(name, built.loss, teacher, batch, 1)
    beside = [(student**power, teacher**power) for power, _ in enumerate(built.beside, 1)]
    for _ in range(2):
        built(student, teacher, batch, beside=beside)
        if built.adversarial:
            built.loss.adversary.loss(*built.compared())
    return built.loss


@pytest.fixture
def draws(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Return the list to which every draw adds its purpose and the seed it comes to."""
    made: list[tuple[str, int]] = []
    derive = seeding.derive

    def noted(seed: int, purpose: str, *position: int) -> int:
        value = derive(seed, purpose, *position)
        made.append((purpose, value))
        return value

    for module in (seeding, holistic):
        monkeypatch.setattr(module, "derive", noted)
    return made


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_every_draw_differs_between_two_seeds_and_agrees_within_one(
    name: str, draws: list[tuple[str, int]]
) -> None:
    by_run = []
    for seed in (0, 1, 0):
        draws.clear()
        run(name, seed)
        by_run.append(list(draws))
    first, other, again = by_run
    assert first == again
    assert [purpose for purpose, _ in first] == [purpose for purpose, _ in other]
    assert all(ours[1] != theirs[1] for ours, theirs in zip(first, other, strict=True))
    assert bool(first) == ("seed" in LOSSES[name].given), "the row says who draws"


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_nothing_is_drawn_from_torchs_own_generator(name: str) -> None:
    before = torch.random.get_rng_state()
    run(name, 0)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_a_seed_is_everything_that_a_loss_starts_from(name: str) -> None:
    states: list[dict[str, Tensor]] = [run(name, seed).state_dict() for seed in (0, 0, 1)]
    for key, value in states[0].items():
        assert torch.equal(value, states[1][key])
    if "seed" in LOSSES[name].given:
        assert any(not torch.equal(value, states[2][key]) for key, value in states[0].items())


def test_one_loss_at_two_taps_draws_twice() -> None:
    tree = {
        "data": {"dataset": "scenes", "crop": [32, 32]},
        "teacher": {"network": "lraspp"},
        "student": {"network": "lraspp"},
        "distill": [{"loss": "masked_generation", "tap": tap} for tap in ("head", "backbone")],
        "training": {"steps": 1},
    }
    objective = build_objective(
        check_tree(tree).distill,
        student_channels={"head": 3, "backbone": 3},
        teacher_channels={"head": 3, "backbone": 3},
        classes=CLASSES,
        auxiliary_weight=0.4,
        label_smoothing=0.0,
        seed=0,
    )
    first, second = objective.terms.values()
    assert first.loss.seed != second.loss.seed
