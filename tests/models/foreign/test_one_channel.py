"""Networks of one channel: the foreground's logit stands for two classes everywhere."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.testing import assert_close

from segdistill.catalogue.losses import LOSSES
from segdistill.catalogue.task_losses import TASK_LOSSES
from segdistill.config import TaskConfig
from segdistill.config.loading import check_tree
from segdistill.models import Adaptation, Adapter, FrozenTeacher, build_network
from segdistill.models.taps import record
from segdistill.models.weights import save_network
from segdistill.scoring.inference import predict_ids
from segdistill.training.objective import build_objective
from segdistill.training.task_loss import TaskLoss
from segdistill.types import Batch, SegOutput

IMAGES = torch.rand(2, 3, 16, 24, generator=torch.Generator().manual_seed(0))
LABELS = torch.randint(0, 2, (2, 16, 24), generator=torch.Generator().manual_seed(1))


class One(nn.Module):
    """One channel, perhaps behind a sigmoid."""

    def __init__(self, channels: int = 1, sigmoid: bool = False) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 8, 4, stride=4)
        self.head = nn.ReLU()
        self.classifier = nn.Conv2d(8, channels, 1)
        self.sigmoid = sigmoid

    def forward(self, images: Tensor) -> Tensor:
        logit: Tensor = self.classifier(self.head(self.body(images)))
        return logit.sigmoid() if self.sigmoid else logit


def adapted(seed: int = 0, **kind: Any) -> Adapter:
    torch.manual_seed(seed)
    output_is = "probabilities" if kind.get("sigmoid") else "logits"
    taps = {"backbone": "body", "head": "head"}
    return Adapter(One(**kind), 2, Adaptation(output_is=output_is), taps=taps)


def test_the_task_loss_is_binary_cross_entropy_and_the_score_a_threshold_at_0() -> None:
    network = adapted().eval()
    with torch.no_grad():
        network.network.classifier.bias -= network.network(IMAGES).mean()
    logit = F.interpolate(network.network(IMAGES), (16, 24), mode="bilinear")[:, 0]
    loss = TaskLoss(TaskConfig(), 2)(network(IMAGES).logits, LABELS)
    assert_close(loss, F.binary_cross_entropy_with_logits(logit, LABELS.float()))
    ids, classes = predict_ids(network, IMAGES)
    assert classes == 2
    assert torch.equal(ids.bool(), logit > 0)
    assert 0 < ids.float().mean() < 1


def test_a_sigmoid_is_undone() -> None:
    given = adapted(sigmoid=True)
    expected = adapted()(IMAGES).logits.log_softmax(dim=1)
    assert_close(given(IMAGES).logits, expected)


def test_a_sigmoid_that_nobody_announced_is_refused_and_small_logits_are_not() -> None:
    network = Adapter(One(sigmoid=True), 2)
    with pytest.raises(ValueError, match="those of a sigmoid; set output_is to probabilities"):
        network(IMAGES)
    small = One()
    nn.init.constant_(small.classifier.weight, 0.0)
    nn.init.constant_(small.classifier.bias, 0.5)
    assert_close(Adapter(small, 2)(IMAGES).logits[:, 1], torch.full((2, 4, 6), 0.5))


def test_logits_announced_as_probabilities_are_refused() -> None:
    network = Adapter(One(), 2, Adaptation(output_is="probabilities"))
    nn.init.constant_(network.network.classifier.bias, 5.0)
    with pytest.raises(ValueError, match="got other values; set output_is to logits"):
        network(IMAGES)


def test_one_channel_for_three_classes_is_refused() -> None:
    with pytest.raises(ValueError, match="expected logits of 3 classes, got 1"):
        Adapter(One(), 3)(IMAGES)


def test_a_class_map_may_turn_foreground_and_rest_around() -> None:
    network = Adapter(One(), 2, Adaptation(class_map=(1, 0)))
    logits = network(IMAGES).logits
    assert logits[:, 1].count_nonzero() == 0
    assert_close(logits[:, :1], network.network(IMAGES))


def objective(name: str) -> nn.Module:
    tree = {
        "data": {"dataset": "scenes", "crop": [16, 24]},
        "teacher": {"network": "lraspp"},
        "student": {"network": "lraspp"},
        "distill": [{"loss": name, "tap": "logits", "project": "none"}],
        "training": {"steps": 1},
    }
    return build_objective(
        check_tree(tree).distill,
        student_channels={"logits": 2, "backbone": 8, "head": 8},
        teacher_channels={"logits": 2, "backbone": 8, "head": 8},
        classes=2,
        auxiliary_weight=0.0,
        label_smoothing=0.0,
        seed=0,
    )


@pytest.mark.parametrize("pair", [(1, 1), (1, 2), (2, 1)])
@pytest.mark.parametrize(
    "name", sorted(n for n, row in LOSSES.items() if row.tap == "logits" and not row.prepares)
)
def test_every_loss_of_logits_has_a_gradient_between_one_and_two_channels(
    name: str, pair: tuple[int, int]
) -> None:
    student, teacher = adapted(0, channels=pair[0]), adapted(1, channels=pair[1])
    try:
        loss = objective(name)
    except ValueError as refusal:  # of a loss that needs the layer of a classifier
        assert "1x1 convolution" in str(refusal)  # noqa: PT017
        return
    taps = ["logits", *LOSSES[name].beside]
    maps = FrozenTeacher(teacher, taps)(IMAGES)
    with record(student, taps) as own:
        output = student(IMAGES)
    batch = Batch((IMAGES * 255).to(torch.uint8), LABELS, LABELS >= 0)
    try:
        parts = loss(SegOutput(output.logits), own, maps, batch)
    except ValueError as refusal:  # of a loss for more than two classes
        assert "more classes" in str(refusal)  # noqa: PT017
        return
    sum(value for part, value in parts.items() if part != "task").backward()
    assert student.network.classifier.weight.grad.abs().max() > 1e-6


@pytest.mark.parametrize("name", sorted(TASK_LOSSES))
def test_every_task_loss_has_a_gradient(name: str) -> None:
    network = adapted()
    TaskLoss(TaskConfig(loss=name), 2)(network(IMAGES).logits, LABELS).backward()  # type: ignore[arg-type]
    assert network.network.classifier.weight.grad.abs().max() > 1e-6


def test_a_network_of_another_library_is_saved_and_read_back(tmp_path: Path) -> None:
    pytest.importorskip("segmentation_models_pytorch")
    settings = {"network": "smp:fpn", "args": {"encoder_name": "resnet18", "classes": 1}}
    network = build_network(settings, classes=2, seed=0).eval()
    file = tmp_path / "weights.safetensors"
    save_network(file, network, settings)
    again = build_network(settings | {"weights": file}, classes=2, seed=1).eval()
    logits = again(torch.rand(1, 3, 32, 32)).logits
    assert logits.shape[1] == 2
    for name, tensor in network.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor)
