"""Converts a program of torch.export to an ExecuTorch file; run as a script where executorch is.

``python convert_executorch.py PROGRAM FILE``: the program is a ``.pt2`` file of one input and one
output. It prints the versions that the file was made with, and imports nothing of segdistill.
"""

from __future__ import annotations

import os
import re
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any


def main(program: str, file: str) -> None:
    """Write the file, its convolutions and the like computed by XNNPACK."""
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower
    from torch import Tensor, contiguous_format, export, nn

    # The compiler of the file's format is a program beside Python.
    beside = str(Path(sys.executable).parent)
    os.environ["PATH"] = os.pathsep.join([beside, os.environ.get("PATH", "")])

    class Contiguous(nn.Module):
        """The program with contiguous weights, images and output: the file keeps their layout."""

        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner = inner.to(memory_format=contiguous_format)  # type: ignore[call-overload]

        def forward(self, images: Tensor) -> Tensor:
            output: Tensor = self.inner(images)
            return output.contiguous()

    read = export.load(program)
    (images,) = read.example_inputs[0]
    exported = export.export(Contiguous(read.module()), (images.contiguous(),))
    try:
        lowered = to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()])
        made = lowered.to_executorch()
    except Exception as error:
        operators = sorted(set(re.findall(r"\baten(?:\.|::)(\w+)", str(error))))
        if not operators:
            raise
        sys.exit(
            f"one with {', '.join(operators)}, which it cannot lower; compute the same with other "
            "operators, or export another format"
        )
    _check_layout(made.executorch_program.execution_plan[0])
    Path(file).write_bytes(made.buffer)
    sys.stdout.write(f"executorch {version('executorch')}, torch {version('torch')}\n")


def _check_layout(plan: Any) -> None:
    """Refuse a file with permuted images: runtimes accept others without a word, and are wrong."""
    for role, indices in (("input", plan.inputs), ("output", plan.outputs)):
        (order,) = (list(plan.values[index].val.dim_order) for index in indices)
        if order != sorted(order):
            sys.exit(f"an {role} with its dimensions in memory in the order {order}")


if __name__ == "__main__":
    main(*sys.argv[1:])
