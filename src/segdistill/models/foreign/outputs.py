"""Logits in what a foreign network returns, whatever its form."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

_USUAL = ("logits", "out")
_QUERIES = ("class_queries_logits", "masks_queries_logits")


def find_logits(
    returned: object, output: str | None, *, classes: int | None
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the logits, and the auxiliary ones, in what a network returned.

    A network that returns more in training than in evaluation is one network: an ``output``
    that is named is looked for if there are several, and a single tensor is the logits.

    Args:
        returned: a tensor, or tensors in mappings, sequences, dataclasses and other objects.
        output: key, attribute, position or dotted path; None takes what is called ``logits``
            or ``out``, or the only map with ``classes`` channels.
        classes: of the logits, None if they are unknown.

    Returns:
        The logits ``(N, K, h, w)``, and other maps of as many channels by their path.

    Raises:
        ValueError: there are none, or several; the message names the paths to choose from.
    """
    if isinstance(returned, Tensor):
        return _checked(returned, "a tensor", classes, "return them from its forward"), {}
    tensors = dict(_tensors(returned, ""))
    if output is None and set(_QUERIES) <= tensors.keys():
        return classify_masks(*(tensors[name] for name in _QUERIES)), {}
    path = output if output is not None else _choose(tensors, classes)
    if path not in tensors:
        answer = (
            f"set output to {_listed(tensors)}"
            if any(map(_is_map, tensors.values()))
            else "return logits (N, classes, h, w) or, where only inner maps are compared, set "
            "output_is to features"
        )
        wanted = "one map of logits" if output is None else f"an output '{output}'"
        raise ValueError(
            f"Adapter: expected {wanted}, got {type(returned).__name__} of "
            f"{_described(tensors) or 'no tensors'}; {answer}"
        )
    others = {name: maps for name, maps in tensors.items() if name != path}
    advice = f"set output to {_listed(others)}" if others else "return them from its forward"
    logits = _checked(tensors[path], f"output '{path}'", classes, advice)
    auxiliary = {
        name: maps
        for name, maps in others.items()
        if _is_map(maps) and maps.shape[:2] == logits.shape[:2]
    }
    return logits, auxiliary


def classify_masks(classes: Tensor, masks: Tensor) -> Tensor:
    r"""Return the logits of a network that classifies masks, as MaskFormer does.

    Each query has a class and a mask, and a pixel's score for a class is

    .. math:: s_k = \sum_q \mathrm{softmax}(c_q)_k \, \sigma(m_q),

    over the classes without the last, which is "no object". The logits are
    :math:`\log s`, whose softmax are the scores divided by their sum.

    Args:
        classes: of each query, the last for "no object".
        masks: of each query.

    Shape:
        classes ``(N, Q, K + 1)``, masks ``(N, Q, h, w)``; result ``(N, K, h, w)``.

    Source:
        Cheng, Schwing and Kirillov, "Per-Pixel Classification is Not All You Need for
        Semantic Segmentation", NeurIPS 2021, Sec. 3.4; as transformers'
        ``post_process_semantic_segmentation``.
    """
    scores = torch.einsum(
        "nqk,nqhw->nkhw", classes.float().softmax(dim=-1)[..., :-1], masks.float().sigmoid()
    )
    return to_logits(scores)


def of_two_classes(maps: Tensor, *, probabilities: bool) -> Tensor:
    r"""Return the two channels that one stands for: of the rest, and of the foreground.

    A logit :math:`z` becomes :math:`(0, z)`, whose softmax is :math:`(1 - \sigma(z), \sigma(z))`
    with the logistic function :math:`\sigma`: cross-entropy of the pair is the binary one of
    :math:`z`, and the foreground is chosen where :math:`z > 0`. A probability :math:`p` becomes
    :math:`(1 - p, p)`.

    Shape:
        maps ``(N, 1, h, w)``; result ``(N, 2, h, w)``.
    """
    rest = 1 - maps if probabilities else torch.zeros_like(maps)
    return torch.cat((rest, maps), dim=1)


class Sigmoids(TorchFunctionMode):
    """Notes, inside its ``with`` block, whether a map of one channel went through a sigmoid."""

    def __init__(self) -> None:
        super().__init__()
        self.of_one_channel = False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if getattr(func, "__name__", "") == "sigmoid" and _is_map(result):
            self.of_one_channel |= result.shape[1] == 1 and result[0, 0].numel() > 1
        return result


def to_logits(probabilities: Tensor) -> Tensor:
    """Return the logarithm of probabilities, finite where they are 0."""
    probabilities = probabilities.float()
    return probabilities.clamp_min(torch.finfo(probabilities.dtype).tiny).log()


def are_probabilities(maps: Tensor) -> bool:
    """Return whether the values of a map's channels are in [0, 1] and, of several, sum to 1."""
    maps = maps.float()
    if not bool(((maps >= 0) & (maps <= 1)).all()):
        return False
    return maps.shape[1] == 1 or bool(((maps.sum(dim=1) - 1).abs() <= 1e-3).all())


def _choose(tensors: Mapping[str, Tensor], classes: int | None) -> str | None:
    usual = next((name for name in _USUAL if name in tensors), None)
    if usual is not None:
        return usual
    maps = [name for name, tensor in tensors.items() if _is_map(tensor)]
    fitting = [name for name in maps if tensors[name].shape[1] == classes]
    for names in (maps, fitting):
        if len(names) == 1:
            return names[0]
    return None


def _tensors(returned: object, prefix: str) -> Iterator[tuple[str, Tensor]]:
    """Yield every tensor in what a network returned, with its dotted path."""
    for name, part in _parts(returned).items():
        if isinstance(part, Tensor):
            yield f"{prefix}{name}", part
        elif not isinstance(part, str | bytes | int | float | type(None)):
            yield from _tensors(part, f"{prefix}{name}.")


def _parts(returned: Any) -> dict[str, object]:
    if isinstance(returned, Mapping):
        return {str(key): value for key, value in returned.items()}
    if dataclasses.is_dataclass(returned) and not isinstance(returned, type):
        return {field.name: getattr(returned, field.name) for field in dataclasses.fields(returned)}
    if isinstance(returned, tuple) and hasattr(returned, "_fields"):
        return {str(name): part for name, part in zip(returned._fields, returned, strict=True)}
    if isinstance(returned, tuple | list):
        return {str(position): part for position, part in enumerate(returned)}
    # Any other object: its public attributes, no deeper.
    named = {name: getattr(returned, name, None) for name in dir(returned) if name[0] != "_"}
    return {name: part for name, part in named.items() if isinstance(part, Tensor)}


def _is_map(tensor: Tensor) -> bool:
    return tensor.ndim == 4 and tensor.is_floating_point()


def _checked(logits: Tensor, what: str, classes: int | None, advice: str) -> Tensor:
    shape = tuple(logits.shape)
    if not logits.is_floating_point():
        raise ValueError(
            f"Adapter: expected logits (N, classes, h, w) in {what}, got numbers of classes "
            f"{shape} in {logits.dtype}; return the scores before argmax"
        )
    if logits.ndim != 4:
        raise ValueError(
            f"Adapter: expected logits (N, classes, h, w) in {what}, got {shape}; {advice}"
        )
    if classes is not None and shape[1] != classes == shape[3]:
        raise ValueError(
            f"Adapter: expected logits (N, classes, h, w) in {what}, got {shape} with the "
            "classes last; return logits.permute(0, 3, 1, 2)"
        )
    return logits


def _described(tensors: Mapping[str, Tensor]) -> str:
    return ", ".join(f"{name} {tuple(tensor.shape)}" for name, tensor in tensors.items())


def _listed(tensors: Mapping[str, Tensor]) -> str:
    names = [name for name, tensor in tensors.items() if _is_map(tensor)] or list(tensors)
    return " or ".join(f"'{name}'" for name in names)
