"""What the learners of a cohort share; free of torch, so that mistakes are reported early."""

from __future__ import annotations

from segdistill.config import RunConfig, Tree

_OWN = {"optimizer", "lr", "momentum", "weight_decay", "decay_norms_and_biases", "schedule"}
_OWN |= {"power", "warmup_steps", "clip_norm", "ema", "auxiliary_weight", "label_smoothing", "seed"}
_OWN |= {"task", "lr_scale", "layer_decay", "freeze", "step_every", "step_factor", "quantize"}


def shared(config: RunConfig) -> Tree:
    """Return the part of a config that the learners of a cohort have in common."""
    tree = config.tree()
    own = {key: value for key, value in tree["training"].items() if key not in _OWN}
    return {name: tree[name] for name in ("data", "teacher", "evaluation")} | {"training": own}
