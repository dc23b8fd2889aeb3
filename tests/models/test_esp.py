"""The ESP module: its branches by hand, and widths that are not multiples of five."""

import torch
from torch.testing import assert_close

from segdistill.models.esp import EspModule


def test_branches_are_added_up_from_the_second_on() -> None:
    module = EspModule(1, 5, residual=False).eval()
    module.norm = torch.nn.Identity()
    with torch.no_grad():
        for weight in module.parameters():
            weight.zero_()
        module.reduce.weight.fill_(1.0)
        for number, branch in enumerate(module.branches, start=1):
            branch.weight[:, :, 1, 1] = float(number)
        maps = module(torch.ones(1, 1, 1, 1)).flatten()
    assert_close(maps, torch.tensor([1.0, 2.0, 2.0 + 3, 2.0 + 3 + 4, 2.0 + 3 + 4 + 5]))


def test_widths_that_five_does_not_divide_give_the_rest_to_the_first_branch() -> None:
    module = EspModule(64, 64)
    assert [branch.out_channels for branch in module.branches] == [16, 12, 12, 12, 12]
    assert module(torch.rand(2, 64, 5, 7)).shape == (2, 64, 5, 7)
