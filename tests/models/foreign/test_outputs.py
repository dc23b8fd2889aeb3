"""Logits in whatever a network returns, and messages whose advice works."""

from collections import OrderedDict, namedtuple
from typing import Any

import pytest
import torch
from torch.testing import assert_close

from segdistill.models.foreign.outputs import are_probabilities, find_logits, to_logits

MAIN = torch.randn(2, 4, 3, 5, generator=torch.Generator().manual_seed(0))
AUX = -MAIN
FEATURES = torch.zeros(2, 8, 3, 5)
Named = namedtuple("Named", "features seg")


class Bare:
    logits = MAIN


FORMS: list[tuple[Any, str | None]] = [
    (MAIN, None),
    (MAIN, "0"),  # a list in training, a tensor in evaluation
    ([MAIN, AUX], "0"),
    ((AUX, MAIN), "1"),
    ({"out": [MAIN, AUX]}, "out.0"),
    (((MAIN,),), None),
    ((MAIN, MAIN.mean()), None),
    ((MAIN, None), None),
    (OrderedDict(out=MAIN, aux=AUX), None),
    ({"features": FEATURES, "scores": MAIN}, None),
    (Named(FEATURES, MAIN), None),
    (Named(FEATURES, MAIN), "seg"),
    (Bare(), None),
]


@pytest.mark.parametrize(("returned", "output"), FORMS)
def test_finds_the_logits(returned: Any, output: str | None) -> None:
    logits, _ = find_logits(returned, output, classes=4)
    assert logits is MAIN


def test_other_maps_of_as_many_classes_are_auxiliary() -> None:
    returned = {"out": MAIN, "deep": [AUX, 2 * AUX], "features": FEATURES}
    _, auxiliary = find_logits(returned, None, classes=4)
    assert list(auxiliary) == ["deep.0", "deep.1"]


REFUSED: list[tuple[Any, str | None, str]] = [
    ([MAIN, AUX], None, r"list of 0 \(2, 4, 3, 5\), 1 .*; set output to '0' or '1'"),
    ({"out": [MAIN, AUX]}, "out", r"an output 'out', got .*; set output to 'out.0' or 'out.1'"),
    ({"tokens": MAIN.flatten(2)}, None, "set output_is to features"),
    (MAIN[:, :, None], None, r"in a tensor, got \(2, 4, 1, 3, 5\); return them"),
    (MAIN.permute(0, 2, 3, 1), None, r"classes last; return logits.permute\(0, 3, 1, 2\)"),
    (MAIN.argmax(1), None, "numbers of classes .*; return the scores before argmax"),
]


@pytest.mark.parametrize(("returned", "output", "message"), REFUSED)
def test_refuses_with_advice_that_works(returned: Any, output: str | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        find_logits(returned, output, classes=4)


def test_probabilities_are_told_from_logits_and_turned_into_them() -> None:
    probabilities = MAIN.softmax(dim=1)
    assert are_probabilities(probabilities)
    assert not are_probabilities(MAIN)
    assert not are_probabilities(MAIN.sigmoid())
    assert are_probabilities(torch.ones(1, 1, 2, 2))
    assert not are_probabilities(torch.full((1, 1, 2, 2), 1.1))
    assert_close(to_logits(probabilities).softmax(dim=1), probabilities)
    assert to_logits(torch.tensor([[[[0.0]], [[1.0]]]])).isfinite().all()
