"""A step count that is saved in checkpoints."""

import torch
from torch import Tensor, nn


class StepCount(nn.Module):
    """Number of steps a module has taken, for draws that depend on the step.

    A plain number, not a buffer: reading a buffer would wait for the device. It is still part of
    the module's ``state_dict``.

    Attributes:
        value: number of steps taken.
    """

    def __init__(self) -> None:
        super().__init__()
        self.value = 0

    def get_extra_state(self) -> Tensor:
        return torch.tensor(self.value)

    def set_extra_state(self, state: Tensor) -> None:
        self.value = int(state)

    def extra_repr(self) -> str:
        return str(self.value)
