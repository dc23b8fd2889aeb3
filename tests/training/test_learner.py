"""A learner: parts that are frozen or learn at a rate of their own."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from segdistill.config import RunConfig
from segdistill.errors import ConfigError
from segdistill.runs.student import student_file
from segdistill.training.build import build_cohort, build_data, counted_weights
from segdistill.training.learner import Learner
from segdistill.training.run import run_cohort

Make = Callable[..., RunConfig]


def build(config: RunConfig) -> Learner:
    data = build_data(config)
    return build_cohort({"": config}, data.train.classes, train=data.train)[1][0]


def test_what_is_frozen_ends_as_it_began_norms_included(small: Make, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    config = small("training.freeze=[backbone]", distill=[])
    before = {name: x.clone() for name, x in build(config).network.state_dict().items()}
    (run,) = run_cohort({"": config}, tmp_path / "run")
    after = load_file(student_file(run))
    moved = {name for name, x in before.items() if not torch.equal(x, after[name])}
    assert moved
    assert not {name for name in moved if name.startswith("backbone.")}


def test_a_tap_or_path_learns_at_its_own_rate(small: Make) -> None:
    learner = build(small("training.lr_scale={backbone: 0.1}", "training.lr=0.5", distill=[]))
    learner.begin(0)
    rates = {id(p): g["lr"] for g in learner._optimizer.param_groups for p in g["params"]}
    found = {
        name.startswith("backbone."): rates[id(parameter)]
        for name, parameter in learner.network.named_parameters()
    }
    assert found == pytest.approx({True: 0.05, False: 0.5})


def test_layer_decay_multiplies_the_rates_of_parts(small: Make) -> None:
    words = "training.layer_decay=0.5", "training.lr_scale={head: 10}", "training.lr=1.0"
    learner = build(small(*words, distill=[]))
    learner.begin(0)
    rates = {id(p): g["lr"] for g in learner._optimizer.param_groups for p in g["params"]}
    found = {name: rates[id(each)] for name, each in learner.network.named_parameters()}
    assert found["classifier.bias"] == 1.0
    assert {rate for name, rate in found.items() if name.startswith("head.")} == {10.0}
    backbone = {rate for name, rate in found.items() if name.startswith("backbone.")}
    assert found["backbone.body.conv_stem.weight"] == min(backbone)
    assert len(backbone) > 4
    assert all(rate <= 1 and math.log2(rate).is_integer() for rate in backbone)


@pytest.mark.parametrize("key", ["freeze=[bakbone]", "lr_scale={bakbone: 10}"])
def test_a_part_that_is_not_there_is_refused(small: Make, key: str) -> None:
    with pytest.raises(ValueError, match=r"got 'bakbone' in training\.freeze.*did you mean"):
        build(small(f"training.{key}", distill=[]))


def test_a_student_that_is_frozen_whole_is_refused(small: Make) -> None:
    with pytest.raises(ValueError, match=r"student: expected a part that trains.*backbone, head"):
        build(small("training.freeze=[backbone, head, logits]", distill=[]))


def test_balanced_weights_give_every_class_the_same_share(small: Make) -> None:
    config = small("training.task.class_weights=balanced", distill=[])
    train = build_data(config).train
    weights = torch.tensor(counted_weights(train, "balanced", skip_broken=False))
    masks = [torch.as_tensor(train[index].mask).long().flatten() for index in range(len(train))]
    pixels = torch.cat(masks)
    counts = torch.bincount(pixels[pixels != 255], minlength=len(weights))
    shares = (weights * counts)[counts > 0]
    torch.testing.assert_close(shares, torch.full_like(shares, counts.sum() / len(weights)))
    assert (weights[counts == 0] == 1).all()
    loss = build(config).objective.task
    assert loss is not None
    assert loss.weights is not None
    torch.testing.assert_close(loss.weights, weights)
    # ESPNet's: 1 / ln(1.1 + share), so 10.49 for a class that is absent.
    rarer = counted_weights(train, "logarithmic", skip_broken=False)
    expected = [1 / math.log(1.1 + count / counts.sum().item()) for count in counts.tolist()]
    assert rarer == pytest.approx(expected)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["training.task.gamma=3"], r"training\.task\.gamma: expected loss focal"),
        (["training.task.loss=ohem", "training.accumulate=2"], r"training\.task\.loss: .*got ohem"),
        (["training.schedule=step"], r"training\.step_every: expected a number of steps"),
        (["training.task.loss=ohm"], r"training\.task\.loss: "),
        (["training.task.loss=focal", "training.label_smoothing=0.1"], "label_smoothing"),
    ],
)
def test_settings_that_do_not_fit_each_other_are_refused(
    small: Make, words: list[str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        small(*words, distill=[])


@pytest.mark.parametrize("key", ["class_weights=[1, 2]", "ignore=[99]"])
def test_classes_that_are_not_there_are_refused(small: Make, key: str) -> None:
    with pytest.raises(ValueError, match=r"training\.task\."):
        build(small(f"training.task.{key}", distill=[]))


def test_new_keys_at_their_default_leave_the_hash_alone(small: Make) -> None:
    plain = small(distill=[])
    same = small("training.task.loss=cross_entropy", "training.sync_batchnorm=true", distill=[])
    assert plain.hash() == same.hash()
    others = [
        "training.task.loss=ohem",
        "training.freeze=[backbone]",
        "training.sync_batchnorm=false",
    ]
    assert len({plain.hash(), *(small(word, distill=[]).hash() for word in others)}) == 4


def test_averaged_weights_are_those_of_torchs_own_average(small: Make) -> None:
    learner = build(small("training.ema=0.9", distill=[]))
    average = get_ema_multi_avg_fn(0.9)
    expected = AveragedModel(learner.network, multi_avg_fn=average, use_buffers=True)
    generator = torch.Generator().manual_seed(0)
    for _ in range(3):
        for value in learner.network.state_dict().values():
            noise = torch.rand(value.shape, generator=generator)
            value.add_(noise if value.is_floating_point() else 5)
        learner.update_average()
        expected.update_parameters(learner.network)
    assert learner.averaged is not None
    found = learner.averaged.state_dict()
    assert all(torch.equal(found[name], value) for name, value in expected.state_dict().items())
