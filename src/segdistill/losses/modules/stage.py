"""The stage before training that some losses have: it trains some of their parameters."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from segdistill.losses.modules.steps import StepCount


def run_stage(
    loss: Callable[[int], Tensor],
    parameters: Sequence[nn.Parameter],
    steps: int,
    *,
    prepared: StepCount,
    planned: StepCount,
    progress: Callable[[int, Tensor], None] | None,
    learning_rate: float,
    weight_decay: float = 0.0,
    largest_norm: float | None = None,
) -> None:
    """Train the stage's parameters by SGD, or resume where it left off.

    Without momentum the parameters are the only state: after each step the stage can be resumed
    from the ``state_dict``, and an interrupted and resumed stage ends bit-identical.

    Args:
        loss: function from a step, counted from 0, to the stage's loss of its batch.
        parameters: what is trained, in this stage alone.
        steps: number of steps.
        prepared: steps done.
        planned: is set to ``steps``.
        progress: called after each step with the number of steps done and the loss; it may save
            the ``state_dict``, and may raise to interrupt.
        learning_rate: learning rate of SGD.
        weight_decay: weight decay of SGD.
        largest_norm: norm to which the gradient of all parameters is clipped; None clips nothing.
    """
    planned.value = steps
    optimizer = torch.optim.SGD(parameters, lr=learning_rate, weight_decay=weight_decay)
    for parameter in parameters:
        parameter.requires_grad_(True)
    try:
        while prepared.value < steps:
            with torch.enable_grad():
                value = loss(prepared.value)
            optimizer.zero_grad()
            value.backward()  # type: ignore[no-untyped-call]
            if largest_norm is not None:
                nn.utils.clip_grad_norm_(parameters, largest_norm)
            optimizer.step()
            prepared.value += 1
            if progress is not None:
                progress(prepared.value, value.detach())
    finally:
        optimizer.zero_grad()
        for parameter in parameters:
            parameter.requires_grad_(False)


def check_finished(caller: str, what: str, prepared: StepCount, planned: StepCount) -> None:
    """Refuse to compare before the stage has ended.

    Raises:
        RuntimeError: it has not; the message names ``what`` it trains.
    """
    if planned.value == 0 or prepared.value < planned.value:
        raise RuntimeError(
            f"{caller}: expected {what}, got {prepared.value} of {planned.value or 'no'} steps; "
            "call prepare first"
        )
