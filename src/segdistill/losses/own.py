"""A user's own loss: a function or a module, in place of a built-in one."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from segdistill.errors import ConfigError
from segdistill.losses.maths.positions import valid_at, valid_labels
from segdistill.own_code import check_settings
from segdistill.types import Batch

GIVEN = ("student_channels", "teacher_channels", "classes", "seed", "classifier")
"""Constructor parameters that are filled in, where a module has them."""

FROM_BATCH = ("batch", "labels", "valid", "images", "beside")
"""Parameters of a call that are filled in, where a function or ``forward`` has them."""


class OwnLoss(nn.Module):
    """Wrap a function or a module so that the objective can call it with maps and a batch.

    A function is called with the student's and the teacher's map, and by keyword with its settings
    and with whatever of the batch it asks for:

    ``labels``
        int64 ``(N, H, W)`` at the size of the images, 255 where a position has no class or was
        padded.
    ``valid``
        bool ``(N, h, w)`` at the size of the student's map, False where augmentation padded.
    ``images``
        uint8 RGB ``(N, 3, H, W)``.
    ``batch``
        all three unchanged, as a :class:`segdistill.types.Batch`.
    ``beside``
        pairs of further maps, as listed under ``beside`` in the config.

    For a module this applies to ``forward``; its settings, and the values of :data:`GIVEN` it asks
    for, go to the constructor. A module whose constructor has no settings is built without
    arguments.

    Args:
        target: the function or the module's class.
        settings: what the config gives besides tap, weight, projector and the like.
        given: values for :data:`GIVEN`.
        who: start of error messages.

    Raises:
        ConfigError: the target is neither, does not take two maps first, does not have a given
            setting, or lacks a required one.
    """

    def __init__(
        self,
        target: Callable[..., Any],
        settings: Mapping[str, Any],
        given: Mapping[str, Any],
        *,
        who: str,
    ) -> None:
        super().__init__()
        self.settings: dict[str, Any] = {}
        if inspect.isclass(target):
            if not issubclass(target, nn.Module):
                raise ConfigError(
                    f"{who}: expected a function or an nn.Module, got the class {target.__name__}"
                )
            known = _parameters(target)
            chosen = {key: given[key] for key in GIVEN if key in known and key in given}
            check_settings(target, settings, chosen, who)
            self.call: Callable[..., Any] = target(**chosen, **settings)
            called = self.call.forward
        else:
            self.call = called = target
            maps = list(_parameters(called))[:2]
            check_settings(called, settings, (*maps, *FROM_BATCH), who)
            self.settings = dict(settings)
        parameters = list(_parameters(called))
        if len(parameters) < 2 or set(parameters[:2]) & set(FROM_BATCH):
            raise ConfigError(
                f"{who}: expected student and teacher as its first two parameters, got "
                f"({', '.join(parameters)}); write (student, teacher, ...)"
            )
        self.asks = tuple(name for name in FROM_BATCH if name in parameters)

    def forward(
        self,
        student: Tensor,
        teacher: Tensor,
        batch: Batch | None = None,
        *,
        beside: Sequence[tuple[Tensor, Tensor]] = (),
    ) -> Tensor | dict[str, Tensor]:
        # Tensors that a teacher computed in inference mode cannot be saved for a gradient.
        teacher = teacher.clone() if teacher.is_inference() else teacher
        given: dict[str, Any] = {}
        for name in self.asks:
            if name == "beside":
                given[name] = beside
            elif batch is None:
                raise ValueError(f"{self.name}: expected a batch, since it asks for {name}")
            elif name == "batch":
                given[name] = batch
            elif name == "labels":
                given[name] = valid_labels(batch)
            elif name == "valid":
                given[name] = valid_at(batch, student)
            else:
                given[name] = batch.images
        value: Tensor | dict[str, Tensor] = self.call(student, teacher, **given, **self.settings)
        return value

    @property
    def name(self) -> str:
        """The name of the loss."""
        return getattr(self.call, "__name__", type(self.call).__name__)

    def extra_repr(self) -> str:
        return ", ".join(f"{key}={value}" for key, value in self.settings.items())


def _parameters(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(function).parameters
