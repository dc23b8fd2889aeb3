"""A file that fits too little: how many fit, the first that do not, the likeliest cause."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from segdistill.errors import CheckpointError
from segdistill.models.checkpoints.matching import COUNTER, Shapes
from segdistill.models.checkpoints.reading import Checkpoint


def find_problems(
    needed: Shapes, tensors: Mapping[str, Tensor], deeper: Sequence[str]
) -> dict[str, list[str]]:
    """Return what of a file does not fit, by kind; empty if all does.

    Args:
        needed: shapes of the network's tensors by name.
        tensors: the file's, under the network's names.
        deeper: names of the file for which the network has no layers.
    """
    missing = [name for name in needed if name not in tensors and not name.endswith(COUNTER)]
    reshaped = [
        f"{name} {tuple(tensors[name].shape)} where the network has {shape}"
        for name, shape in needed.items()
        if name in tensors and tuple(tensors[name].shape) != shape
    ]
    every = {"missing": missing, "extra": list(deeper), "of another shape": reshaped}
    return {label: names for label, names in every.items() if names}


def check_finite(network: nn.Module, checkpoint: Checkpoint, tensors: Mapping[str, Tensor]) -> None:
    """Refuse weights that are nan or infinite, as those of a network that diverged.

    Args:
        network: whose parameters they become.
        checkpoint: the file.
        tensors: by the network's names; buffers may be infinite, such as masks of attention.

    Raises:
        CheckpointError: a weight is not finite; the first tensors with such weights are named.
    """
    learnt = {name for name, _ in network.named_parameters()}
    broken = [
        name for name, values in tensors.items() if name in learnt and not values.isfinite().all()
    ]
    if broken:
        raise CheckpointError(
            f"{checkpoint.source}: expected finite weights, got nan or infinite ones in "
            f"{len(broken)} of {len(learnt)} tensors: {_some(broken)}; the file is damaged, or its "
            "network diverged"
        )


def misfit(
    network: nn.Module,
    checkpoint: Checkpoint,
    needed: Shapes,
    tensors: Mapping[str, Tensor],
    problems: Mapping[str, Sequence[str]],
    hint: str,
    owner: str = "",
) -> CheckpointError:
    """Return the error that refuses a file.

    Args:
        network: that it should fill.
        checkpoint: the file.
        needed: shapes of the network's tensors by name.
        tensors: the file's, under the network's names.
        problems: from :func:`find_problems`.
        hint: the cause, where the caller knows it.
        owner: what the message calls the network; its class unless given.
    """
    learnt = [name for name in needed if not name.endswith(COUNTER)]
    fitting = sum(name in tensors and tuple(tensors[name].shape) == needed[name] for name in learnt)
    lists = "; ".join(
        f"{label} ({len(names)}): {_some(names)}" for label, names in problems.items()
    )
    return CheckpointError(
        f"{checkpoint.source}: expected the weights of this {owner or type(network).__name__}, got "
        f"a file of another network, of whose tensors {fitting} of {len(learnt)} fit: {lists}; "
        f"{hint or _cause(needed, tensors, problems)}"
    )


def _cause(
    needed: Shapes,
    tensors: Mapping[str, Tensor],
    problems: Mapping[str, Sequence[str]],
) -> str:
    """Return the likeliest reason of a misfit, and what to do about it."""
    counts = {
        (tuple(tensor.shape)[:1], shape[:1])
        for name, tensor in tensors.items()
        for shape in [needed[name]]
        if tuple(tensor.shape) != shape and tuple(tensor.shape)[1:] == shape[1:]
    }
    if problems.keys() == {"of another shape"} and len(counts) == 1:
        ((theirs, ours),) = counts
        if theirs and ours and len(problems["of another shape"]) <= 4:
            return (
                f"it seems to distinguish {theirs[0]} classes where the data have {ours[0]}: "
                "build the "
                "network with as many and name its classes in class_map, or use other weights"
            )
    if not tensors:
        return "it seems to be of another kind of network: name the network that it was saved from"
    if problems.keys() == {"missing"}:
        return "it seems to contain part of the network: give a backbone alone as backbone_weights"
    if problems.keys() == {"extra"}:
        return "it seems to be of a deeper network of this family: name the depth that it has"
    return "build the network with the settings that the file was saved with"


def _some(names: Sequence[str], most: int = 5) -> str:
    shown = ", ".join(names[:most])
    return f"{shown}, and {len(names) - most} more" if len(names) > most else shown
