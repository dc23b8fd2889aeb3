"""Weights into a network: all that it needs, or a refusal that says what does not fit."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from segdistill.errors import CheckpointError
from segdistill.models.checkpoints.matching import (
    COUNTER,
    Match,
    Shapes,
    grouped,
    match_names,
    match_order,
)
from segdistill.models.checkpoints.reading import Checkpoint, read_checkpoint
from segdistill.models.checkpoints.record import Loaded
from segdistill.models.checkpoints.refusals import check_finite, find_problems, misfit

# Buffers that libraries write or leave out as they like, and counters of profilers.
_INCIDENTAL = (
    COUNTER,
    "relative_position_index",
    "relative_coords_table",
    "attn_mask",
    "position_ids",
    "total_ops",
    "total_params",
)


@dataclass(frozen=True)
class ClassPart:
    """What of a network depends on the classes, and what happens to it.

    Attributes:
        names: its tensors, whose first axis are the classes.
        order: the rows of the file that are taken; None takes them as they are.
        fresh: keep the network's initial values instead.
        whole: the classes are nowhere but on the first axis.
    """

    names: Collection[str] = ()
    order: tuple[int, ...] | None = None
    fresh: bool = False
    whole: bool = True


def load_weights(network: nn.Module, path: Path | str) -> Loaded:
    """Load a file of weights into a network; every tensor that it needs has to fit.

    Args:
        network: what is filled.
        path: a file of any form that :func:`read_checkpoint` reads. Only tensors are read.

    Returns:
        What was stripped, skipped and left out.

    Raises:
        FileNotFoundError: there is no such file.
        CheckpointError: it is no such file, or tensors of the network are missing, extra in
            parts that it has, of other shapes, or not finite; the message lists them.
    """
    return load_checkpoint(network, read_checkpoint(path))


def load_checkpoint(
    network: nn.Module,
    checkpoint: Checkpoint,
    *,
    classes: ClassPart | None = None,
    hint: str = "",
) -> Loaded:
    """Load what was read; see :func:`load_weights`.

    Args:
        network: what is filled.
        checkpoint: the file.
        classes: what to do with the part that depends on the classes.
        hint: likely cause of a misfit that the caller knows.
    """
    classes = classes or ClassPart()
    expected = shapes(network)
    fresh = set(classes.names) if classes.fresh else set()
    needed = {name: shape for name, shape in expected.items() if name not in fresh}
    key, match = _best(needed, checkpoint)
    _check_single(checkpoint, match)
    state = checkpoint.states[key]
    tensors = {name: state[other] for name, other in match.names.items()}
    if classes.order is not None:
        tensors |= _rows(tensors, classes, checkpoint)
    known = {name for name, _ in network.named_buffers()}
    # The file's classifier is not left over if the network's is initialised at random.
    extra = _extra(match, state, [*needed, *fresh, *known])
    problems = find_problems(
        needed, tensors, [name for name in extra if _inside(name, match, needed)]
    )
    if problems:
        raise misfit(network, checkpoint, needed, tensors, problems, hint)
    check_finite(network, checkpoint, tensors)
    network.load_state_dict({**network.state_dict(), **tensors})
    return Loaded(
        source=checkpoint.source,
        count=sum(not name.endswith(COUNTER) for name in tensors),
        key=key,
        match=match,
        left_out=grouped(name for name in extra if not name.endswith(_INCIDENTAL)),
        beside=_unread(checkpoint, key),
        counters=sum(name.endswith(COUNTER) and name not in tensors for name in needed),
        fresh=tuple(name for name in expected if name in fresh),
        reordered=classes.order if classes.order and classes.names else None,
        half=any(tensor.dtype in (torch.float16, torch.bfloat16) for tensor in tensors.values()),
    )


def load_backbone(
    backbone: nn.Module,
    checkpoint: Checkpoint,
    *,
    names: Mapping[str, str],
    reference: Shapes,
    owner: str,
) -> Loaded:
    """Load the weights of a whole published network into the backbone that was cut from it.

    Args:
        backbone: what is filled, all of it but its batch counters.
        checkpoint: the file; tensors of head and classifier are left out.
        names: what the published network calls each tensor of the backbone.
        reference: shapes of the published network, in the order of its layers; the backbone's
            own if none was published.
        owner: what messages call the backbone.

    Raises:
        CheckpointError: neither the names of all that is needed are there nor do all shapes of
            the file agree with the reference in order.
    """
    own = shapes(backbone)
    needed = {names[name]: shape for name, shape in own.items()}
    key, match = _best(needed, checkpoint)
    state = checkpoint.states[key]
    if any(name not in match.names for name in needed if not name.endswith(COUNTER)):
        orders = (match_order(reference, state) for state in checkpoint.states.values())
        for place, order in zip(checkpoint.states, orders, strict=True):
            if order is not None and all(
                name in order.names for name in needed if not name.endswith(COUNTER)
            ):
                key, match, state = place, order, checkpoint.states[place]
    else:
        _check_single(checkpoint, match)
    tensors = {name: state[match.names[name]] for name in needed if name in match.names}
    extra = _extra(match, state, needed)
    taken = {match.prefix + name for name in reference} | set(match.names.values())
    deeper = [name for name in extra if _inside(name, match, needed) and name not in taken]
    problems = find_problems(needed, tensors, deeper)
    if problems:
        raise misfit(backbone, checkpoint, needed, tensors, problems, "", owner)
    filled = {name: tensors[theirs] for name, theirs in names.items() if theirs in tensors}
    check_finite(backbone, checkpoint, filled)
    backbone.load_state_dict({**backbone.state_dict(), **filled})
    used = {match.names[name] for name in tensors}
    return Loaded(
        source=checkpoint.source,
        count=sum(not name.endswith(COUNTER) for name in tensors),
        key=key,
        match=match,
        left_out=grouped(
            name.removeprefix(match.prefix)
            for name in state
            if name not in used and not name.endswith(_INCIDENTAL)
        ),
        beside=_unread(checkpoint, key),
        half=any(tensor.dtype in (torch.float16, torch.bfloat16) for tensor in tensors.values()),
    )


def load_fitting(
    backbone: nn.Module, checkpoint: Checkpoint, *, names: Mapping[str, str]
) -> tuple[int, tuple[str, ...]]:
    """Load every tensor that fits by name and shape, and leave the rest as it was drawn.

    Args:
        backbone: what is filled in part.
        checkpoint: weights of a network that differs somewhere.
        names: as for :func:`load_backbone`.

    Returns:
        How many tensors were loaded, and the parts that were not, with their counts.
    """
    own = shapes(backbone)
    key, match = _best({names[name]: shape for name, shape in own.items()}, checkpoint)
    state = checkpoint.states[key]
    fitting = {
        name: state[match.names[names[name]]]
        for name, shape in own.items()
        if names[name] in match.names and tuple(state[match.names[names[name]]].shape) == shape
    }
    check_finite(backbone, checkpoint, fitting)
    backbone.load_state_dict({**backbone.state_dict(), **fitting})
    rest = [name for name in own if name not in fitting and not name.endswith(COUNTER)]
    return sum(not name.endswith(COUNTER) for name in fitting), grouped(rest)


def resized(network: nn.Module, checkpoint: Checkpoint, classes: int) -> tuple[str, ...]:
    """Return the tensors of which a file has another number of classes, by their shapes alone.

    Args:
        network: that the file should fit.
        checkpoint: the file.
        classes: of the network.

    Returns:
        Names of the network's tensors; none where anything else differs.
    """
    expected = shapes(network)
    key, match = _best(expected, checkpoint)
    state = checkpoint.states[key]
    others = {
        name: tuple(state[theirs].shape)
        for name, theirs in match.names.items()
        if tuple(state[theirs].shape) != expected[name]
    }
    same = all(
        shape[1:] == expected[name][1:] and expected[name][:1] == (classes,)
        for name, shape in others.items()
    )
    return tuple(others) if same and len({shape[:1] for shape in others.values()}) == 1 else ()


def shapes(network: nn.Module) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a network's state by name."""
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


def _best(needed: Shapes, checkpoint: Checkpoint) -> tuple[str, Match]:
    """Return the key under which most of a network lies; of equals the first."""
    matches = {key: match_names(needed, state) for key, state in checkpoint.states.items()}

    def fit(key: str) -> tuple[int, int]:
        names, state = matches[key].names, checkpoint.states[key]
        return len(names), sum(tuple(state[n].shape) == needed[m] for m, n in names.items())

    key = max(matches, key=fit)
    return key, matches[key]


def _check_single(checkpoint: Checkpoint, match: Match) -> None:
    if match.rivals:
        raise CheckpointError(
            f"{checkpoint.source}: expected one network, got several that fit, under "
            f"{', '.join(repr(prefix) for prefix in (match.prefix, *match.rivals))}; save the "
            "state_dict of the intended one"
        )


def _rows(
    tensors: Mapping[str, Tensor], classes: ClassPart, checkpoint: Checkpoint
) -> dict[str, Tensor]:
    order = torch.tensor(classes.order)
    if not classes.names or not classes.whole:
        raise CheckpointError(
            f"{checkpoint.source}: expected classes in the order of the data's, got another that "
            f"this network's weights cannot be put into; set class_map: {order.tolist()}, or save "
            "it with the data's classes"
        )
    return {
        name: tensors[name].index_select(0, order)
        for name in classes.names
        if name in tensors and tensors[name].shape[0] > int(order.max())
    }


def _extra(match: Match, state: Mapping[str, Tensor], known: Collection[str]) -> list[str]:
    """Return the file's tensors that the network has no place for, named without the prefix."""
    used = set(match.names.values())
    ours = set(known)
    rest = [name for name in state if name not in used]
    return [name for name in rest if name.removeprefix(match.prefix) not in ours]


def _inside(name: str, match: Match, needed: Shapes) -> bool:
    """Return whether an extra tensor lies in a part that the network has: it would be deeper."""
    if name.endswith(_INCIDENTAL) or not name.startswith(match.prefix):
        return False
    part = name.removeprefix(match.prefix).partition(".")[0]
    return part.isdecimal() or any(ours.partition(".")[0] == part for ours in needed)


def _unread(checkpoint: Checkpoint, key: str) -> tuple[str, ...]:
    others = (other for other in checkpoint.states if other != key)
    code = (f"code ({', '.join(checkpoint.code[:5])})",) if checkpoint.code else ()
    return (*others, *checkpoint.beside, *code)
