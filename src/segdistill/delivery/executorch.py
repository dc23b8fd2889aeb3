"""ExecuTorch: one file for phones and small boards, computed by XNNPACK at a fixed image size."""

from __future__ import annotations

import math
import re
import subprocess
import tempfile
import weakref
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import IO, Any

import numpy as np
from torch import nn

from segdistill.delivery.contract import Contract
from segdistill.delivery.environments import Environment, convert, find_python
from segdistill.delivery.opened import Run, RuntimeRefusalError
from segdistill.errors import ConfigError
from segdistill.files import write_whole
from segdistill.json_text import load_json
from segdistill.threads import count_free_cores

PYTHON = "SEGDISTILL_EXECUTORCH_PYTHON"
"""Environment variable with the Python that has executorch, which writes and runs the files."""

CONTRACT = ".pte.json"
"""Ending of the name of the file with the contract, next to the file."""

# Releases of executorch run with one release of torch and do not say so; these two were tried.
_ENVIRONMENT = Environment(PYTHON, "executorch", "executorch", "executorch==1.3.1 torch==2.12.1")
_CONVERTER = Path(__file__).with_name("convert_executorch.py")
_RUNNER = Path(__file__).with_name("run_executorch.py")


def write_executorch(
    network: nn.Module, path: Path, size: tuple[int, int], contract: Contract
) -> None:
    """Write a network for ExecuTorch, with its contract as JSON next to the file.

    executorch converts it, in an environment of its own, since each of its releases runs with
    one release of torch only. Which ones made the file is added to the contract's provenance.

    Args:
        network: see :func:`segdistill.delivery.onnx.export_onnx`, as for the others.
        path: the file.
        size: height and width of the only images that the file takes.
        contract: inputs and outputs of the graph.

    Raises:
        ConfigError: there is no Python with executorch.
        ValueError: torch or executorch cannot convert the network.
    """
    who = "write_executorch"
    printed = convert(who, _ENVIRONMENT, _CONVERTER, network, path, size, contract)
    made_with = {"made_with": printed.splitlines()[-1]}
    contract = replace(contract, provenance={**contract.provenance, **made_with})
    write_whole(path.with_suffix(CONTRACT), contract.as_text().encode())


def open_executorch(path: Path, threads: int = 0) -> tuple[Run, str | None]:
    """Open an ExecuTorch file on the CPU, in a process of the environment with executorch.

    Args:
        path: the file.
        threads: number of threads, 0 for all.

    Returns:
        A function that runs it, whose process ends with it, and the contract in the file next
        to it or None.

    Raises:
        ConfigError: there is no Python with executorch.
        RuntimeRefusalError: ExecuTorch cannot read the file.
    """
    python = find_python("open_executorch", _ENVIRONMENT)
    words = [python, "-I", str(_RUNNER), str(path), str(threads or count_free_cores())]
    errors = tempfile.TemporaryFile()  # noqa: SIM115 (as long as the process)
    process = subprocess.Popen(
        words,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        start_new_session=True,  # Ctrl-C is for this process
    )
    turn = Lock()

    def run(images: np.ndarray) -> np.ndarray:
        given = {"shape": list(images.shape), "dtype": str(images.dtype)}
        if given != opened["takes"]:
            raise RuntimeRefusalError(
                f"ExecuTorch: expected images of {_words(opened['takes'])}, got {_words(given)}"
            )
        gives = opened["gives"]
        size = math.prod(gives["shape"]) * np.dtype(gives["dtype"]).itemsize
        with turn:
            answer, data = _ask(process, errors, images.tobytes(), size)
        if "error" in answer:
            raise RuntimeRefusalError(f"ExecuTorch: {answer['error']}")
        output: np.ndarray = np.frombuffer(data, gives["dtype"]).reshape(gives["shape"])
        return output

    weakref.finalize(run, _end, process, errors)
    versions, _ = _ask(process, errors)
    if "error" in versions:
        raise ConfigError(
            f"open_executorch: expected executorch to run in {python}, got: {versions['error']}; "
            f"{_ENVIRONMENT.advice}"
        )
    opened, _ = _ask(process, errors)
    if "error" in opened:
        raise RuntimeRefusalError(
            f"{path}: expected a file with one input and one output that ExecuTorch can run, got: "
            f"{opened['error']} ({versions['versions']})"
        )
    contract = path.with_suffix(CONTRACT)
    return run, contract.read_text() if contract.is_file() else None


def _ask(
    process: subprocess.Popen[bytes], errors: IO[bytes], given: bytes = b"", size: int = 0
) -> tuple[dict[str, Any], bytearray]:
    """Send bytes to a process, and return its answer with that many bytes."""
    assert process.stdin is not None
    assert process.stdout is not None
    line = b""
    with suppress(BrokenPipeError):  # it has ended
        process.stdin.write(given)
        process.stdin.flush()
        line = process.stdout.readline()
    answer: dict[str, Any] = load_json(line or "{}")
    if line and "error" not in answer:
        data = bytearray(process.stdout.read(size))
        if len(data) == size:
            return answer, data
    errors.seek(0)
    said = errors.read().decode(errors="replace").strip()
    missing = re.findall(r"Missing operator: \[\d+\] (\S+)", said)
    if "error" not in answer:
        last = said.splitlines()[-1] if said else "no message"
        answer["error"] = f"{last} (its process ended with {process.wait()})"
    elif missing:
        answer["error"] += f"; it has no kernel for {', '.join(missing)}: export another format"
    return answer, bytearray()


def _end(process: subprocess.Popen[bytes], errors: IO[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout, errors):
        with suppress(BrokenPipeError):  # images that it has not read
            if pipe is not None:
                pipe.close()


def _words(tensor: dict[str, Any]) -> str:
    return f"{'x'.join(map(str, tensor['shape']))} {tensor['dtype']}"
