"""Taps: named inner maps of a network, recorded by hooks that are always removed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from segdistill.checks import nearest
from segdistill.network_state import device_of, evaluating

_PATCHES = (1, 2, 4, 7, 8, 14, 16, 28, 32, 64)


@dataclass(frozen=True)
class TapShape:
    """Width, stride and size of a tap's map.

    Attributes:
        channels: its width.
        stride: image pixels per position: the power of two that explains its size, or else
            the quotient of the two sizes, rounded.
        size: height and width for the image that was tried; not compared by ``==``.
    """

    channels: int
    stride: int
    size: tuple[int, int] = field(default=(0, 0), compare=False)


def tap_paths(network: nn.Module) -> dict[str, str]:
    """Return the module path of each tap that the network names, such as ``backbone``."""
    return dict(getattr(network, "taps", {}))


def set_taps(network: nn.Module, taps: Mapping[str, str]) -> None:
    """Add names for module paths of a network, or for taps that it has.

    Raises:
        ValueError: the network has no such module.
    """
    known = tap_paths(network)
    paths = {name: known.get(path, path) for name, path in taps.items()}
    for path in paths.values():
        _module(network, path)
    network.taps = {**known, **paths}  # type: ignore[assignment]


def resolve(network: nn.Module, names: Iterable[str]) -> dict[str, nn.Module]:
    """Return the module behind each tap, a name or a dotted module path.

    Raises:
        ValueError: the network has no such tap; the message names the nearest.
    """
    paths = tap_paths(network)
    return {name: _module(network, paths.get(name, name)) for name in names}


@contextmanager
def record(network: nn.Module, names: Iterable[str]) -> Iterator[dict[str, Tensor]]:
    """Record maps during the forward passes inside the ``with`` block.

    Of a module that returns several maps, the last is recorded. Each pass overwrites the maps
    of the one before.

    Args:
        network: any module.
        names: taps, each a name or a dotted module path.

    Yields:
        A dict that each forward pass fills with ``(N, C, h, w)`` by tap.

    Raises:
        ValueError: the network has no such tap, or in the forward pass: it returns no map.
    """
    maps: dict[str, Tensor] = {}
    handles = []
    try:
        for name, module in resolve(network, names).items():

            def keep(_module: nn.Module, _inputs: object, output: object, name: str = name) -> None:
                # The next layer may work in place, so the map is copied at once.
                maps[name] = as_map(name, output).clone()

            handles.append(module.register_forward_hook(keep))
        yield maps
    finally:
        for handle in handles:
            handle.remove()


def describe(
    network: nn.Module, names: Iterable[str], size: tuple[int, int]
) -> dict[str, TapShape]:
    """Return width and stride of taps, from one forward pass of a black image.

    Args:
        network: any network; its mode and its buffers are left as they were.
        names: taps, each a name or a dotted module path.
        size: height and width of the image.

    Raises:
        ValueError: the network has no such tap, it returns no map, or it does not run.
    """
    names = list(names)
    with record(network, names) as maps, evaluating(network), torch.no_grad():
        network(torch.zeros(1, 3, *size, device=device_of(network)))
    for name in names:
        if name not in maps:
            raise ValueError(
                f"tap '{name}': expected a module that runs in a forward pass, got one that "
                "does not; choose another (segdistill list taps)"
            )
    return {name: _shape(maps[name], size) for name in names}


def _shape(maps: Tensor, image: tuple[int, int]) -> TapShape:
    _, channels, height, width = maps.shape
    return TapShape(channels, _stride(image, (height, width)), (height, width))


def _stride(image: tuple[int, int], size: tuple[int, int]) -> int:
    # 40 pixels in 2 rows are a stride of 32, with part of a row beyond the image, not of 20.
    for stride in (2, 4, 8, 16, 32, 64):
        if min(size) > 1 and size == (-(-image[0] // stride), -(-image[1] // stride)):
            return stride
    return max(1, round(image[0] / size[0]))


def source_of(network: nn.Module, passed_on: nn.Module, size: tuple[int, int]) -> nn.Module | None:
    """Return the module whose output another one receives unchanged, from one black image.

    Only modules without children are looked at. None if what arrives was changed on its way.

    Args:
        network: any network; its mode and its buffers are left as they were.
        passed_on: a module of it.
        size: height and width of the image.
    """
    made: list[tuple[nn.Module, object]] = []  # outputs are kept, so that none is taken for another
    arrived: list[object] = []
    handles = [
        module.register_forward_hook(lambda own, _inputs, output: made.append((own, output)))
        for module in network.modules()
        if module is not passed_on and not list(module.children())
    ]
    handles.append(passed_on.register_forward_pre_hook(lambda _own, inputs: arrived.extend(inputs)))
    try:
        with evaluating(network), torch.no_grad():
            network(torch.zeros(1, 3, *size, device=device_of(network)))
    finally:
        for handle in handles:
            handle.remove()
    return next((own for own, output in made if arrived and output is arrived[0]), None)


def list_taps(network: nn.Module, size: tuple[int, int]) -> dict[str, TapShape]:
    """Return width and stride of every module that returns a map, in the order in which they run.

    Named taps come first. A path can be used as a tap directly, or be given a name under
    ``taps`` in a config.

    Args:
        network: any network; its mode is left as it was.
        size: height and width of the image that is tried; an adapter's divisor rounds it up,
            so that the maps inside and outside have one size.

    Raises:
        ValueError: the network does not take such an image.
    """
    divisor = int(getattr(network, "divisor", 1))
    size = (-(-size[0] // divisor) * divisor, -(-size[1] // divisor) * divisor)
    shapes: dict[str, TapShape] = {}
    handles = []

    def keep_shape(path: str, output: object) -> None:
        try:
            maps = as_map(path, output, size)
        except ValueError:
            return
        shapes[path] = _shape(maps, size)

    try:
        for path, module in network.named_modules():
            if path:
                handles.append(
                    module.register_forward_hook(
                        lambda _module, _inputs, output, path=path: keep_shape(path, output)
                    )
                )
        with evaluating(network), torch.no_grad():
            network(torch.zeros(1, 3, *size, device=device_of(network)))
    finally:
        for handle in handles:
            handle.remove()
    named = {name: shapes[path] for name, path in tap_paths(network).items() if path in shapes}
    return {**named, **shapes}


def as_map(name: str, output: object, size: tuple[int, int] | None = None) -> Tensor:
    """Return a module's output as one map ``(N, C, h, w)``.

    Args:
        name: of the tap, for the message.
        output: a map, or several in nested tuples, lists or dicts, of which the last is taken.
        size: height and width of the images; given, tokens ``(N, L, D)`` are reshaped to a map.

    Raises:
        ValueError: the output contains no map.
    """
    parts = list(_last_first(output))
    for part in parts:
        if isinstance(part, Tensor) and part.ndim == 4:
            return part
    for part in parts:
        if isinstance(part, Tensor) and part.ndim == 3 and size is not None:
            maps = _tokens_to_map(part, size)
            if maps is not None:
                return maps
    raise ValueError(
        f"tap '{name}': expected a module that returns a map (N, C, h, w), got "
        f"{_describe(output)}; choose another (segdistill list taps)"
    )


def _last_first(output: object) -> Iterator[object]:
    """Yield the leaves of nested tuples, lists and dicts, last to first."""
    parts = list(output.values()) if isinstance(output, Mapping) else output
    if not isinstance(parts, (tuple, list)):
        yield output
        return
    for part in reversed(parts):
        yield from _last_first(part)


def _tokens_to_map(tokens: Tensor, size: tuple[int, int]) -> Tensor | None:
    """Return a transformer's tokens as a map, or None if they do not form a grid.

    The stride is the one whose grid over the image has as many cells as there are tokens;
    extra tokens in front, one for the class and four registers at most, are left out.

    Args:
        tokens: output of a layer.
        size: height and width of the images.

    Shape:
        tokens ``(N, L, D)``; result ``(N, D, h, w)``.
    """
    for extra in (0, 1, 2, 5):
        for stride in _PATCHES:
            height, width = -(-size[0] // stride), -(-size[1] // stride)
            if height * width == tokens.shape[1] - extra:
                return tokens[:, extra:].mT.reshape(*tokens.shape[::2], height, width)
    return None


def _describe(output: object) -> str:
    if isinstance(output, Tensor):
        return f"a tensor of shape {tuple(output.shape)}"
    if isinstance(output, Mapping):
        return f"{type(output).__name__} of {', '.join(map(str, output))}"
    if isinstance(output, (tuple, list)):
        return f"{type(output).__name__} of {', '.join(map(_describe, output))}"
    return type(output).__name__


def _module(network: nn.Module, path: str) -> nn.Module:
    modules = dict(network.named_modules())
    if path not in modules or not path:
        names = [*tap_paths(network), *filter(None, modules)]
        answer = nearest(path, names)
        if not answer.startswith("did"):
            answer = f"choose one of: {', '.join(tap_paths(network)) or 'its module paths'}"
        raise ValueError(
            f"tap '{path}': expected a tap's name or a module path of {type(network).__name__}; "
            f"{answer} (segdistill list taps)"
        )
    module: nn.Module = modules[path]
    return module
