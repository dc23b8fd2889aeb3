"""What an adapter must know of a foreign network: how it is fed, and how it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from segdistill.checks import check_normalisation
from segdistill.classes import ClassMap, used_classes

OutputKind = Literal["logits", "probabilities", "features"]
ChannelOrder = Literal["rgb", "bgr"]
Rgb = tuple[float, float, float]


@dataclass(frozen=True)
class Adaptation:
    """How a foreign network is fed, and how its answer is read.

    Attributes:
        output: key, attribute, position or dotted path of the logits in what it returns; None
            takes the only map of the right width.
        output_is: ``logits``; ``probabilities``, of which the logarithm is taken; or
            ``features``, of a network without classes, which only has taps.
        mean: of the normalisation of red, green and blue in [0, 1]; None if the source of
            the network knows it, or the network normalises.
        std: standard deviation in the same scale.
        channel_order: ``bgr`` for networks that expect blue first, after the normalisation.
        divisor: images are padded until it divides their sides; None if the source knows.
        square: images are padded to squares.
        class_map: for each class of the dataset, the network's: its number, several numbers
            whose probabilities are added, or None for a class that the network lacks.

    Raises:
        ValueError: mean and std are not both given, or not in the scale of images in [0, 1];
            the class map is empty or names a class below 0.
    """

    output: str | None = None
    output_is: OutputKind = "logits"
    mean: Rgb | None = None
    std: Rgb | None = None
    channel_order: ChannelOrder = "rgb"
    divisor: int | None = None
    square: bool = False
    class_map: ClassMap | None = None

    def __post_init__(self) -> None:
        check_normalisation("Adapter", self.mean, self.std)
        if min(used_classes(self.class_map or ()), default=0) < 0:
            raise ValueError(
                "Adapter: expected a class_map of class numbers from 0, got "
                f"{list(self.class_map or ())}; null stands for a class that the network lacks"
            )


def take_adaptation(settings: Mapping[str, Any]) -> tuple[Adaptation, dict[str, Any]]:
    """Take the settings of an adaptation out of a network's, and return the others too."""
    keys = {field.name for field in fields(Adaptation)}
    own = {key: _frozen(value) for key, value in settings.items() if key in keys}
    return Adaptation(**own), {key: value for key, value in settings.items() if key not in keys}


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list | tuple) else value
