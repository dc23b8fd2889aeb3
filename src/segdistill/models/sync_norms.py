"""Batch norm over the images of all processes."""

from __future__ import annotations

from typing import Any

import torch
from timm.layers import BatchNormAct2d, convert_sync_batchnorm
from torch import Tensor, distributed, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm


def synchronise_norms(module: nn.Module, device: torch.device) -> None:
    """Let the batch norms in a module average over the processes, weights and names as before.

    Parts of which every parameter is frozen are left as they are.

    Args:
        module: changed in place.
        device: that it will compute on; torch's own layer has no CPU form.
    """
    for name, child in list(module.named_children()):
        parameters = list(child.parameters())
        if parameters and not any(parameter.requires_grad for parameter in parameters):
            continue
        if not isinstance(child, _BatchNorm):
            synchronise_norms(child, device)
        elif device.type != "cpu":
            setattr(module, name, convert_sync_batchnorm(child))
        elif isinstance(child, BatchNormAct2d):
            child.__class__ = _NormActOnCpu
        else:
            child.__class__ = _NormOnCpu


class _NormOnCpu(_BatchNorm):
    """torch's ``SyncBatchNorm`` in plain arithmetic, for the processes of a CPU."""

    def forward(self, input: Tensor) -> Tensor:
        return _over_processes(self, input)

    def _check_input_dim(self, input: Tensor) -> None:
        """Any number of dimensions will do."""


class _NormActOnCpu(BatchNormAct2d):  # type: ignore[misc]
    """timm's batch norm with an activation, likewise."""

    def forward(self, x: Tensor) -> Tensor:
        activated: Tensor = self.act(self.drop(_over_processes(self, x)))
        return activated


def _over_processes(norm: _BatchNorm, maps: Tensor) -> Tensor:
    if not norm.training:
        mean, variance = norm.running_mean, norm.running_var
        return F.batch_norm(maps, mean, variance, norm.weight, norm.bias, eps=norm.eps)
    dtype, maps = maps.dtype, maps.to(torch.promote_types(maps.dtype, torch.float32))
    over = [dim for dim in range(maps.ndim) if dim != 1]
    count = _sum(maps.new_tensor(maps[:, 0].numel()))
    mean = _sum(maps.sum(over)) / count
    shape = [-1 if dim == 1 else 1 for dim in range(maps.ndim)]
    centred = maps - mean.view(shape)
    variance = _sum(centred.square().sum(over)) / count
    _follow(norm, mean.detach(), variance.detach() * count / (count - 1).clamp_min(1))
    normed = centred * (variance + norm.eps).rsqrt().view(shape)
    if norm.affine:
        normed = normed * norm.weight.view(shape) + norm.bias.view(shape)
    return normed.to(dtype)


@torch.no_grad()
def _follow(norm: _BatchNorm, mean: Tensor, variance: Tensor) -> None:
    """Follow the statistics of the batch with those for evaluation."""
    if norm.running_mean is None or norm.running_var is None or norm.num_batches_tracked is None:
        return
    norm.num_batches_tracked.add_(1)
    share = 1 / float(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
    norm.running_mean.lerp_(mean.to(norm.running_mean.dtype), share)
    norm.running_var.lerp_(variance.to(norm.running_var.dtype), share)


def _sum(tensor: Tensor) -> Tensor:
    total: Tensor = _Sum.apply(tensor)  # type: ignore[no-untyped-call]
    return total


class _Sum(torch.autograd.Function):
    """The sum over all processes, which every process uses: so are its gradients summed."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        total = tensor.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> Tensor:
        total = upstream.clone()
        distributed.all_reduce(total)
        return total
