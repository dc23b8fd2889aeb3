"""Which tensor of a file is which of a network: names with prefixes stripped, or order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

Shapes = Mapping[str, tuple[int, ...]]

COUNTER = "num_batches_tracked"
# Parts that wrappers of torch put into names, anywhere: DataParallel, torch.compile, FSDP and
# activation checkpointing.
_WRAPPERS = {
    "module",
    "_orig_mod",
    "_forward_module",
    "_fsdp_wrapped_module",
    "_checkpoint_wrapped_module",
}
# Of several networks in one file, these are the keys of the wanted one.
_WANTED = ("", "model", "network", "net", "student", "architecture", "segmentor", "backbone")
_NEVER = ("teacher", "ema", "model_ema", "averaged_model", "discriminator")


@dataclass(frozen=True)
class Match:
    """Tensors of a network found in a file.

    Attributes:
        names: the file's name for each of the network's.
        prefix: what was stripped from the file's names, such as ``"module.backbone."``.
        in_order: no names agreed; shapes did, one by one.
        rivals: other prefixes under which as many tensors were found.
    """

    names: Mapping[str, str]
    prefix: str = ""
    in_order: bool = False
    rivals: tuple[str, ...] = ()


def match_names(expected: Shapes, found: Mapping[str, Tensor]) -> Match:
    """Match by name, under the one prefix that explains most of a network's tensors.

    Args:
        expected: shapes of the network's tensors by name.
        found: the file's.

    Returns:
        The match; tensors that it lacks are not in the file, and shapes may differ.
    """
    plain = {name: name for name in found}
    unwrapped = {_unwrapped(name): name for name in found}
    best = _under_prefix(expected, found, plain)
    if len(best.names) < len(expected) and len(unwrapped) == len(found):
        ours = {_unwrapped(name): name for name in expected}
        if len(ours) == len(expected):
            shapes = {_unwrapped(name): shape for name, shape in expected.items()}
            other = _under_prefix(shapes, found, unwrapped)
            if len(other.names) > len(best.names):
                names = {ours[name]: theirs for name, theirs in other.names.items()}
                return Match(names, _stripped(names), rivals=other.rivals)
    return best


def match_order(reference: Shapes, found: Mapping[str, Tensor]) -> Match | None:
    """Match one by one, where names say nothing: every shape has to agree, in order.

    Args:
        reference: shapes of the whole published network by name, in the order of its layers.
        found: the file's tensors.

    Returns:
        The match, or None if a single shape or the number of tensors differs. The file may
        end before the reference does, as without a classifier.
    """
    ours = [name for name in reference if not name.endswith(COUNTER)]
    theirs = [name for name in found if not name.endswith(COUNTER)]
    if not theirs or len(theirs) > len(ours):
        return None
    pairs = list(zip(ours, theirs, strict=False))
    if any(reference[name] != tuple(found[other].shape) for name, other in pairs):
        return None
    return Match(dict(pairs), in_order=True)


def grouped(names: Iterable[str]) -> tuple[str, ...]:
    """Return the first parts of names with how many tensors each has."""
    counts = Counter(name.partition(".")[0] for name in names)
    return tuple(f"{part} ({count})" for part, count in counts.items())


def _under_prefix(expected: Shapes, found: Mapping[str, Tensor], names: Mapping[str, str]) -> Match:
    """Match names that may have been cleaned; ``names`` leads back to the file's."""
    matched: Counter[str] = Counter()
    fitting: Counter[str] = Counter()
    for name in names:
        for prefix, rest in _splits(name):
            if rest in expected:
                matched[prefix] += 1
                fitting[prefix] += tuple(found[names[name]].shape) == expected[rest]
    if not matched:
        return Match({})
    best = max((matched[prefix], fitting[prefix]) for prefix in matched)
    equal = sorted(
        (prefix for prefix in matched if (matched[prefix], fitting[prefix]) == best), key=_wish
    )
    prefix = equal[0]
    rivals = tuple(other for other in equal[1:] if _wish(other)[0] == _wish(prefix)[0])
    return Match(
        {name: names[prefix + name] for name in expected if prefix + name in names},
        prefix,
        rivals=rivals,
    )


def _splits(name: str) -> Iterable[tuple[str, str]]:
    yield "", name
    place = name.find(".")
    while place >= 0:
        yield name[: place + 1], name[place + 1 :]
        place = name.find(".", place + 1)


def _wish(prefix: str) -> tuple[int, int, str]:
    """Return what sorts prefixes that explain equally much: the network that is wanted first."""
    parts = prefix.rstrip(".").split(".")
    if any(part in _NEVER for part in parts):
        return (len(_WANTED) + 1, len(prefix), prefix)
    known = [place for place, part in enumerate(_WANTED) if part == parts[0]]
    return (known[0] if known else len(_WANTED), len(prefix), prefix)


def _unwrapped(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in _WRAPPERS)


def _stripped(names: Mapping[str, str]) -> str:
    """Return by what the file's names differ from the network's, for a message."""
    inserted: Sequence[str] = list(
        dict.fromkeys(part for name in names.values() for part in name.split("."))
    )
    ours = {part for name in names for part in name.split(".")}
    return "".join(f"{part}." for part in inserted if part not in ours)
