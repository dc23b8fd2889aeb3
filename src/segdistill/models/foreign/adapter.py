"""The adapter: any network behind the contract of this package's networks."""

from __future__ import annotations

import dataclasses
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segdistill.checks import nearest
from segdistill.classes import ClassMap
from segdistill.models.inputs import check_images
from segdistill.models.taps import as_map
from segdistill.types import SegOutput

_BELOW = 10.0
"""How far below all others the logit of a class lies that the network lacks: 5e-5 of the
probability of the least likely one."""


class Adapter(nn.Module):
    """A foreign network as one of ours: images in [0, 1] in, ``SegOutput`` out.

    It normalises, pads the images to a size that the network takes, picks the logits from
    whatever the network returns, cuts the padding off and puts the classes into order. Maps at
    named taps are cut in the same way, and tokens ``(N, L, D)`` become maps.

    Args:
        network: the foreign network, which is called with the images alone.
        classes: number of classes of the resulting logits.
        output: key, attribute or position of the logits in what the network returns; None
            takes the tensor itself, ``logits``, ``out``, or the only map there is.
        mean: of the normalisation, RGB in [0, 1]; None where the network normalises.
        std: standard deviation in the same scale.
        divisor: images are padded at the right and at the bottom until it divides their sides.
        class_map: for each class of the dataset, the network's: its number, several numbers
            whose probabilities are added, or None for a class that the network lacks; None
            alone where they are equal.
        taps: tap name to module path inside the network.

    Shape:
        images ``(N, 3, H, W)``; logits ``(N, classes, h, w)`` at the network's stride.

    Raises:
        ValueError: a tap does not exist, or the class map does not fit ``classes``; in the
            forward pass: the network does not take the images, or returns no logits or those of
            other classes.
    """

    mean: Tensor | None
    std: Tensor | None

    def __init__(
        self,
        network: nn.Module,
        classes: int,
        *,
        output: str | None = None,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        divisor: int = 1,
        class_map: ClassMap | None = None,
        taps: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        used = used_classes(class_map or ())
        if class_map is not None and (len(class_map) != classes or min(used, default=0) < 0):
            raise ValueError(
                f"Adapter: expected a class_map with one class of the network for each of the "
                f"{classes} classes, got {list(class_map)}"
            )
        if (mean is None) != (std is None):
            raise ValueError("Adapter: expected mean and std together, got one of them")
        self.network = network
        self.classes, self.output, self.divisor = classes, output, divisor
        self.register_buffer("mean", None if mean is None else _rgb(mean), persistent=False)
        self.register_buffer("std", None if std is None else _rgb(std), persistent=False)
        self.highest = max(used, default=0)
        self.class_map = class_map
        self.paths: dict[str, str] = {}
        self.taps = {"logits": "logits"}
        self.logits = nn.Identity()
        # A tap is a module that passes its map on, so that hooks find maps cut to size.
        self.maps = nn.ModuleDict()
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
        if self.divisor > 1:
            images = F.pad(
                images, (0, _missing(size[1], self.divisor), 0, _missing(size[0], self.divisor))
            )
        padded = (images.shape[2], images.shape[3])
        with self._tapped(size, padded):
            returned = self._run(images)
        logits = self._ordered(_find(returned, self.output), size, padded)
        auxiliary = returned.get("aux") if self.training and isinstance(returned, Mapping) else None
        if auxiliary is not None:
            auxiliary = self._ordered(auxiliary, size, padded)
        return SegOutput(self.logits(logits), auxiliary)

    def _run(self, images: Tensor) -> object:
        try:
            return self.network(images)
        except (RuntimeError, AssertionError) as error:
            # A subclass, such as out of memory, means something else.
            if type(error) not in (RuntimeError, AssertionError):
                raise
            size = "x".join(map(str, images.shape[2:]))
            reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
            raise ValueError(
                f"Adapter: expected a network that takes RGB images of {size}, got from "
                f"{type(self.network).__name__}{_raised_at(error)}: {reason}; correct it, "
                "or set divisor or another size of images"
            ) from error

    def _ordered(self, logits: Tensor, size: tuple[int, int], padded: tuple[int, int]) -> Tensor:
        if self.class_map is not None:
            if logits.shape[1] <= self.highest:
                raise ValueError(
                    f"Adapter: expected a network with the class {self.highest} that class_map "
                    f"names, got {logits.shape[1]} classes from {type(self.network).__name__}; "
                    "its first class is 0"
                )
            logits = self._mapped(logits, self.class_map)
        if logits.shape[1] != self.classes:
            raise ValueError(
                f"Adapter: expected logits of {self.classes} classes, got {logits.shape[1]} from "
                f"{type(self.network).__name__}; give its class for each of the "
                "dataset's in class_map, or build it with as many classes"
            )
        return _cut(logits, size, padded) if self.divisor > 1 else logits

    def _mapped(self, logits: Tensor, class_map: ClassMap) -> Tensor:
        """Put the network's classes into the order of the class map."""
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
                        self.maps[key](_cut(as_map(key, output, padded), size, padded))
                    except ValueError:
                        # Not a map, which is an error only where it is recorded, and raised there.
                        self.maps[key](output)

                handles.append(self.network.get_submodule(path).register_forward_hook(pass_on))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


def used_classes(class_map: ClassMap) -> tuple[int, ...]:
    """Return the network's classes that a class map names, each time it does."""
    used: list[int] = []
    for entry in class_map:
        if entry is not None:
            used.extend(entry if isinstance(entry, tuple) else (entry,))
    return tuple(used)


def _raised_at(error: BaseException) -> str:
    """Return where an error was raised, for a message without a traceback."""
    frames = traceback.extract_tb(error.__traceback__)
    return f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""


def _rgb(values: Sequence[float]) -> Tensor:
    return torch.tensor(list(values)).reshape(1, 3, 1, 1)


def _missing(size: int, divisor: int) -> int:
    # Never negative, here and below: ONNX rounds and takes remainders of those differently.
    return (divisor - size % divisor) % divisor


def _cut(maps: Tensor, size: tuple[int, int], padded: tuple[int, int]) -> Tensor:
    """Cut off the part of a map that belongs to padding."""
    height = maps.shape[2] - (padded[0] - size[0]) * maps.shape[2] // padded[0]
    width = maps.shape[3] - (padded[1] - size[1]) * maps.shape[3] // padded[1]
    # narrow, even over the whole map: folding must see that the map is read here.
    return maps.narrow(2, 0, height).narrow(3, 0, width)


def _find(returned: object, output: str | None) -> Tensor:
    """Return the logits in what a network returned."""
    if isinstance(returned, Tensor) and output is None:
        return _checked(returned, "a tensor")
    parts = _parts(returned)
    if output is not None:
        if output not in parts:
            raise ValueError(
                f"Adapter: expected an output '{output}', got {type(returned).__name__} of "
                f"{', '.join(parts) or 'nothing'}; set output to one of them"
            )
        return _checked(parts[output], f"output '{output}'")
    for name in ("logits", "out"):
        if name in parts:
            return _checked(parts[name], f"output '{name}'")
    maps = [part for part in parts.values() if isinstance(part, Tensor) and part.ndim == 4]
    if len(maps) != 1:
        raise ValueError(
            f"Adapter: expected one map of logits, got {type(returned).__name__} of "
            f"{', '.join(parts) or 'nothing'}; set output to the one that holds the logits"
        )
    return maps[0]


def _parts(returned: object) -> dict[str, object]:
    if isinstance(returned, Mapping):
        return {str(key): value for key, value in returned.items()}
    if dataclasses.is_dataclass(returned) and not isinstance(returned, type):
        names = [field.name for field in dataclasses.fields(returned)]
        return {name: getattr(returned, name) for name in names}
    if isinstance(returned, SegOutput):
        return {"logits": returned.logits}
    if isinstance(returned, (tuple, list)):
        return {str(position): part for position, part in enumerate(returned)}
    return {}


def _checked(logits: object, what: str) -> Tensor:
    if not isinstance(logits, Tensor) or logits.ndim != 4:
        shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise ValueError(
            f"Adapter: expected logits (N, classes, h, w) in {what}, got {shape}; set output to "
            "the one that holds the logits"
        )
    return logits
