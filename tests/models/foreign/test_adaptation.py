"""How a network is fed: scale and order of its colours, and its classes by number."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from segdistill.models import Adaptation, Adapter
from segdistill.models.feed import describe_feed
from segdistill.models.foreign.adaptation import take_adaptation

IMAGES = torch.rand(2, 3, 6, 8, generator=torch.Generator().manual_seed(0))


class Give(nn.Module):
    """Keeps what it is fed, and returns it or what it was told to."""

    def __init__(self, returned: object = None) -> None:
        super().__init__()
        self.returned = returned

    def forward(self, images: Tensor) -> object:
        self.fed = images
        return images if self.returned is None else self.returned


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mean": (123.7, 116.3, 103.5), "std": (58.4, 57.1, 57.4)}, "divide both by 255"),
        ({"mean": (0.5, 0.5, 0.5), "std": (0.0, 1.0, 1.0)}, "std above 0"),
        ({"mean": (0.5, 0.5, 0.5)}, "mean and std together"),
        ({"class_map": (0, -1)}, "null stands for a class that the network lacks"),
    ],
)
def test_refuses_another_scale_and_classes_that_are_none(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Adaptation(**settings)


def test_the_settings_of_an_adaptation_are_taken_out_of_a_configs() -> None:
    adaptation, rest = take_adaptation({"args": {}, "class_map": [0, [1, 2], None], "divisor": 4})
    assert adaptation == Adaptation(class_map=(0, (1, 2), None), divisor=4)
    assert rest == {"args": {}}


def test_blue_comes_first_where_asked_after_the_normalisation() -> None:
    network = Give()
    how = Adaptation(mean=(0.1, 0.2, 0.3), std=(1.0, 0.5, 0.25), channel_order="bgr")
    adapter = Adapter(network, 3, how)
    adapter(IMAGES)
    assert_close(network.fed[:, 2], IMAGES[:, 0] - 0.1)
    assert_close(network.fed[:, 0], (IMAGES[:, 2] - 0.3) / 0.25)
    assert describe_feed(adapter, IMAGES).startswith("is fed BGR images normalised: ")


def test_classes_are_merged_by_their_probabilities_and_may_be_lacking() -> None:
    logits = torch.randn(2, 4, 3, 5, generator=torch.Generator().manual_seed(1))
    adapter = Adapter(Give(logits), 3, Adaptation(class_map=((0, 3), 1, 2)))
    p = logits.softmax(dim=1)
    merged = torch.stack([p[:, 0] + p[:, 3], p[:, 1], p[:, 2]], dim=1)
    assert_close(adapter(IMAGES).logits.softmax(dim=1), merged)
    lacking = Adapter(Give(logits), 5, Adaptation(class_map=(0, 1, 2, 3, None)))
    probabilities = lacking(IMAGES).logits.softmax(dim=1)
    assert probabilities[:, 4].max() < 5e-5
    assert_close(probabilities[:, :4], p, atol=5e-5, rtol=0)


def test_probabilities_are_refused_as_logits_and_logits_as_probabilities() -> None:
    logits = torch.randn(2, 4, 3, 5)
    with pytest.raises(ValueError, match="sum to 1 over the classes; set output_is to prob"):
        Adapter(Give(logits.softmax(dim=1)), 4)(IMAGES)
    said = Adaptation(output_is="probabilities")
    with pytest.raises(ValueError, match="set output_is to logits"):
        Adapter(Give(logits), 4, said)(IMAGES)
    given = Adapter(Give(logits.softmax(dim=1)), 4, said)(IMAGES).logits
    assert_close(given, logits.log_softmax(dim=1))


def test_features_need_no_classes_and_have_no_logits_to_tap() -> None:
    network = nn.Sequential(nn.Conv2d(3, 24, 3), nn.ReLU())
    adapter = Adapter(network, 4, Adaptation(output_is="features"), taps={"backbone": "0"})
    assert adapter(IMAGES).logits.shape[1] == 0
    assert list(adapter.taps) == ["backbone"]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_weights_compute_in_float32(dtype: torch.dtype) -> None:
    adapter = Adapter(nn.Conv2d(3, 4, 3).to(dtype), 4)
    assert adapter(IMAGES).logits.dtype == torch.float32


def test_every_auxiliary_map_trains() -> None:
    logits = torch.randn(2, 4, 3, 5)
    returned = {"out": logits, "aux1": -logits, "aux2": 2 * logits}
    adapter = Adapter(Give(returned), 4).train()
    output = adapter(IMAGES)
    assert isinstance(output.auxiliary, tuple)
    assert adapter.auxiliary_outputs == ("aux1", "aux2")
    assert adapter.eval()(IMAGES).auxiliary is None
