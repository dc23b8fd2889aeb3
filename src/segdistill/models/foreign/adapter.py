"""The adapter: any network behind the contract of this package's networks."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from segdistill.checks import nearest
from segdistill.classes import ClassMap, least_classes
from segdistill.errors import is_of_machine
from segdistill.models.foreign.adaptation import Adaptation
from segdistill.models.foreign.outputs import (
    Sigmoids,
    are_probabilities,
    find_logits,
    of_two_classes,
    to_logits,
)
from segdistill.models.inputs import check_images
from segdistill.models.padding import cut, pad
from segdistill.models.taps import as_map
from segdistill.types import SegOutput

_BELOW = 10.0
"""How far below all others the logit of a class lies that the network lacks: 5e-5 of the
probability of the least likely one."""


class Adapter(nn.Module):
    """A foreign network as one of ours: images in [0, 1] in, ``SegOutput`` out.

    It normalises, pads the images to a size that the network takes, picks the logits from
    whatever the network returns, cuts the padding off and puts the classes into order. Maps at
    named taps are cut in the same way, and tokens ``(N, L, D)`` become maps. The network
    computes in float32, whatever its weights were stored in. One channel where two classes are
    expected is the foreground's: it becomes the logits of both.

    Args:
        network: the foreign network, which is called with the images alone.
        classes: number of classes of the resulting logits.
        adaptation: how the network is fed, and how its answer is read.
        taps: tap name to module path inside the network.

    Attributes:
        auxiliary_outputs: paths of the auxiliary logits in the last forward pass in training.

    Shape:
        images ``(N, 3, H, W)``; logits ``(N, classes, h, w)`` at the network's stride, and of
        0 classes where the network gives features only.

    Raises:
        ValueError: a tap does not exist, or the class map does not fit ``classes``; in the
            forward pass: the network does not take the images, or returns no logits, those of
            other classes, or probabilities where logits were expected.
    """

    mean: Tensor | None
    std: Tensor | None

    def __init__(
        self,
        network: nn.Module,
        classes: int,
        adaptation: Adaptation = Adaptation(),  # noqa: B008 - frozen
        *,
        taps: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        class_map = adaptation.class_map
        if class_map is not None and len(class_map) != classes:
            raise ValueError(
                f"Adapter: expected a class_map with an entry for each of the {classes} classes, "
                f"got {list(class_map)}"
            )
        self.network = network.float()
        self.classes, self.adaptation = classes, adaptation
        self.divisor = adaptation.divisor or 1
        mean, std = adaptation.mean, adaptation.std
        self.register_buffer("mean", None if mean is None else _rgb(mean), persistent=False)
        self.register_buffer("std", None if std is None else _rgb(std), persistent=False)
        self.auxiliary_outputs: tuple[str, ...] = ()
        self.output_checked = False
        self._one_sigmoid = False
        self.paths: dict[str, str] = {}
        self.taps: dict[str, str] = {}
        # A tap is a module that passes its map on, so that hooks find maps cut to size.
        self.maps = nn.ModuleDict()
        if adaptation.output_is != "features":
            self.taps["logits"] = "logits"
            self.logits = nn.Identity()
        self.add_taps(taps or {})

    def add_taps(self, taps: Mapping[str, str]) -> None:
        """Give names to module paths inside the adapted network.

        A path may begin with ``network.``, as it is printed by ``segdistill list taps``.

        Raises:
            ValueError: the network has no such module.
        """
        known = dict(self.network.named_modules())
        for name, path in taps.items():
            path = path.removeprefix("network.")
            if path not in known or not path:
                raise ValueError(
                    f"tap '{name}': expected a module path of {type(self.network).__name__}, "
                    f"got '{path}'; {nearest(path, known)} (segdistill list taps)"
                )
            key = name.replace(".", "_")
            self.maps[key] = nn.Identity()
            self.paths[key] = path
            self.taps[name] = f"maps.{key}"

    def forward(self, images: Tensor) -> SegOutput:
        if not torch.compiler.is_compiling():
            check_images("Adapter", images, 1)
        size = (images.shape[2], images.shape[3])
        if self.mean is not None and self.std is not None:
            images = (images - self.mean) / self.std
        if self.adaptation.channel_order == "bgr":
            images = images.flip(1)
        images = pad(images, self.divisor, square=self.adaptation.square)
        padded = (images.shape[2], images.shape[3])
        with self._tapped(size, padded):
            returned = self._run(images)
        if self.adaptation.output_is == "features":
            return SegOutput(images.new_zeros(images.shape[0], 0, 1, 1))
        expected = self.classes if self.adaptation.class_map is None else None
        logits, others = find_logits(returned, self.adaptation.output, classes=expected)
        auxiliary: dict[str, Tensor] = {}
        if self.training:
            auxiliary = {name: self._ordered(maps, size, padded) for name, maps in others.items()}
            self.auxiliary_outputs = tuple(auxiliary)
        logits = self._ordered(logits, size, padded)
        if len(auxiliary) > 1:
            return SegOutput(self.logits(logits), tuple(auxiliary.values()))
        return SegOutput(self.logits(logits), next(iter(auxiliary.values()), None))

    def _run(self, images: Tensor) -> object:
        try:
            if self.output_checked or torch.compiler.is_compiling():
                return self.network(images)
            with Sigmoids() as sigmoids:
                returned = self.network(images)
            self._one_sigmoid = sigmoids.of_one_channel
            return returned
        except (RuntimeError, AssertionError) as error:
            # A subclass means something else.
            if type(error) not in (RuntimeError, AssertionError) or is_of_machine(error):
                raise
            size = "x".join(map(str, images.shape[2:]))
            reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
            raise ValueError(
                f"Adapter: expected a network that takes RGB images of {size}, got from "
                f"{type(self.network).__name__}{_raised_at(error)}: {reason}; correct it, "
                "or set divisor, square or another size of images (data.crop, evaluation.window)"
            ) from error

    def _ordered(self, maps: Tensor, size: tuple[int, int], padded: tuple[int, int]) -> Tensor:
        """Return logits of the dataset's classes, without the padding."""
        self._check_kind(maps)
        probabilities = self.adaptation.output_is == "probabilities"
        if maps.shape[1] == 1 and self._own_classes() == 2:
            maps = of_two_classes(maps, probabilities=probabilities)
        if probabilities:
            maps = to_logits(maps)
        if self.adaptation.class_map is not None:
            maps = self._mapped(maps, self.adaptation.class_map)
        if maps.shape[1] != self.classes:
            raise ValueError(
                f"Adapter: expected logits of {self.classes} classes, got {maps.shape[1]} from "
                f"{type(self.network).__name__}; give its class for each of the dataset's in "
                "class_map, build it with as many classes, or, where only inner maps are "
                "compared, set output_is to features"
            )
        return cut(maps, size, padded) if self.divisor > 1 or self.adaptation.square else maps

    def _own_classes(self) -> int:
        """Return how many classes the network has to have."""
        class_map = self.adaptation.class_map
        return self.classes if class_map is None else least_classes(class_map)

    def _check_kind(self, maps: Tensor) -> None:
        """Hold the first output against what it is said to be."""
        if self.output_checked or torch.compiler.is_compiling() or maps.is_meta:
            return
        declared, probabilities = self.adaptation.output_is, are_probabilities(maps)
        one = maps.shape[1] == 1
        if one and declared == "logits":  # which may be in [0, 1] by chance
            probabilities &= self._one_sigmoid
        if probabilities != (declared == "probabilities"):
            answer = (
                "set output_is to probabilities" if probabilities else "set output_is to logits"
            )
            what = "other values"
            if probabilities:
                what = (
                    "those of a sigmoid"
                    if one
                    else "values in [0, 1] that sum to 1 over the classes"
                )
            raise ValueError(
                f"Adapter: expected {declared} from {type(self.network).__name__}, got {what}; "
                f"{answer}"
            )
        self.output_checked = True

    def _mapped(self, logits: Tensor, class_map: ClassMap) -> Tensor:
        """Put the network's classes into the order of the class map."""
        least = least_classes(class_map)
        if logits.shape[1] < least:
            raise ValueError(
                f"Adapter: expected a network with the class {least - 1} that class_map names, "
                f"got {logits.shape[1]} classes from {type(self.network).__name__}; its first "
                "class is 0"
            )
        lacking = logits.amin(dim=1) - _BELOW if None in class_map else logits
        chosen = []
        for entry in class_map:
            if entry is None:
                chosen.append(lacking)
            elif isinstance(entry, int):
                chosen.append(logits[:, entry])
            else:  # the logarithm of the sum of their probabilities, up to a constant
                chosen.append(logits[:, list(entry)].logsumexp(dim=1))
        return torch.stack(chosen, dim=1)

    @contextmanager
    def _tapped(self, size: tuple[int, int], padded: tuple[int, int]) -> Iterator[None]:
        """Pass the maps of the tapped modules on while the network runs."""
        handles = []
        if not torch.compiler.is_compiling():
            for key, path in self.paths.items():

                def pass_on(
                    _module: nn.Module, _inputs: object, output: object, key: str = key
                ) -> None:
                    try:
                        self.maps[key](cut(as_map(key, output, padded), size, padded))
                    except ValueError:
                        # Not a map, which is an error only where it is recorded, and raised there.
                        self.maps[key](output)

                handles.append(self.network.get_submodule(path).register_forward_hook(pass_on))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


def _raised_at(error: BaseException) -> str:
    """Return where an error was raised, for a message without a traceback."""
    frames = traceback.extract_tb(error.__traceback__)
    return f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""


def _rgb(values: Sequence[float]) -> Tensor:
    return torch.tensor(list(values)).reshape(1, 3, 1, 1)
