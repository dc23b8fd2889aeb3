"""Runs an ExecuTorch file on images from a pipe; run as a script where executorch is.

``python run_executorch.py FILE THREADS`` writes lines of JSON: first the ``versions`` that it runs
with, then the ``shape`` and ``dtype`` of what the file ``takes`` and ``gives``. Then it reads the
bytes of images, one after the other, and answers each with a line followed by the bytes of the
output. After a line with an ``error`` nothing follows. It imports nothing of segdistill.
"""

from __future__ import annotations

import json
import os
import sys
from importlib.metadata import version
from typing import Any, BinaryIO


def main(file: str, threads: str) -> None:
    """Answer until there are no more images."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print goes elsewhere
    try:
        from executorch.extension.pybindings import portable_lib
        from executorch.runtime import Runtime

        versions = f"executorch {version('executorch')}, torch {version('torch')}"
        _tell(answers, {"versions": versions})
        portable_lib._unsafe_reset_threadpool(int(threads))
        method = Runtime.get().load_program(file).load_method("forward")
        images, output = _like_its_images(method)
    except Exception as error:
        _tell(answers, _error(error))
        return
    _tell(answers, {"takes": _described(images), "gives": _described(output)})
    while data := sys.stdin.buffer.read(images.nbytes):
        images.numpy().data.cast("B")[:] = data
        try:
            (output,) = method.execute([images])
        except Exception as error:
            _tell(answers, _error(error))
        else:
            _tell(answers, {}, output.contiguous().numpy().tobytes())


def _like_its_images(method: Any) -> list[Any]:
    """Return contiguous tensors like the only input and the only output of a method."""
    import torch

    meta, dtypes = method.metadata, {0: torch.uint8, 6: torch.float32}
    infos = [meta.input_tensor_meta(number) for number in range(meta.num_inputs())]
    infos += [meta.output_tensor_meta(number) for number in range(meta.num_outputs())]
    if (meta.num_inputs(), meta.num_outputs()) != (1, 1) or any(
        info.dtype() not in dtypes for info in infos
    ):
        raise ValueError(f"expected one input and one output of float32 or uint8, got {infos}")
    return [torch.zeros(tuple(info.sizes()), dtype=dtypes[info.dtype()]) for info in infos]


def _described(tensor: Any) -> dict[str, Any]:
    return {"shape": list(tensor.shape), "dtype": str(tensor.dtype).removeprefix("torch.")}


def _error(error: Exception) -> dict[str, str]:
    return {"error": f"{type(error).__name__}: {' '.join(str(error).split())}"}


def _tell(answers: BinaryIO, answer: dict[str, Any], data: bytes = b"") -> None:
    answers.write(json.dumps(answer).encode() + b"\n" + data)
    answers.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
