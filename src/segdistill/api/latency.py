"""Latency: milliseconds per image for a run's student or a config's networks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from segdistill.api.untrained import untrained
from segdistill.config.loading import LoadedConfig, load_config
from segdistill.delivery.latency import Arithmetic, Latency, measure_together
from segdistill.training.events import Note, Progress, Tell, silent
from segdistill.training.pick_device import pick_device
from segdistill.training.trained_student import load_student

_WAYS: tuple[tuple[Arithmetic, bool, bool], ...] = (
    ("fp32", False, False),
    ("fp32", True, False),
    ("bf16", True, False),
    ("fp32", True, True),
)


def latency(
    source: str | Path | LoadedConfig,
    size: tuple[int, int],
    *,
    threads: int = 1,
    device: str = "cpu",
    compiled: bool = True,
    passes: int = 20,
    overrides: Sequence[str] = (),
    trust: Sequence[str] = (),
    tell: Tell = silent,
) -> dict[str, list[Latency]]:
    """Time networks on one image in turns: plain, channels last, in bfloat16 and compiled.

    Example::

        segdistill.latency("runs/student-1", (512, 1024), threads=4)

    Args:
        source: a run folder or weights file for the student alone, or a config or recipe for
            teacher and students, untrained.
        size: height and width of the image.
        threads: number of torch threads on a CPU.
        device: ``cpu`` or ``cuda``.
        compiled: also try ``torch.compile``.
        passes: number of timed forward passes per variant.
        overrides: overrides of the form ``a.b=value``, if ``source`` is a config.
        trust: ``import:`` and ``file:`` targets that files may name; see
            :mod:`segdistill.trust`.
        tell: called with progress, and if ``torch.compile`` does not work.

    Returns:
        Measurements by network.

    Raises:
        ConfigError: there is no such device, or the config cannot be run.
        RunFolderError: the folder contains no finished run.
    """
    target = pick_device(device)
    saved = not isinstance(source, LoadedConfig) and (
        Path(source).is_dir() or Path(source).suffix == ".safetensors"
    )
    if saved and not isinstance(source, LoadedConfig):
        networks = {"student": load_student(source, trust=trust).network}
    else:
        networks = untrained(load_config(source, overrides, trust=trust).learners)
    ways = [way for way in _WAYS if compiled or not way[2]]
    measured: dict[str, list[Latency]] = {name: [] for name in networks}
    moved = {name: network.to(target) for name, network in networks.items()}
    for done, (precision, channels_last, compile_it) in enumerate(ways):
        tell(Progress(f"timing {' '.join(networks)}", done, len(ways), {}))
        # Compiled networks are timed separately, so that one that fails does not stop the others.
        for group in (
            [{name: network} for name, network in moved.items()] if compile_it else [moved]
        ):
            try:
                timed = measure_together(
                    group,
                    size,
                    threads=threads,
                    precision=precision,
                    channels_last=channels_last,
                    compiled=compile_it,
                    passes=passes,
                )
            except RuntimeError as error:
                if not compile_it:
                    raise
                reason = _first_line(error)
                tell(
                    Note(
                        f"{' '.join(group)}: torch.compile does not work here: {reason}; on a CPU "
                        "it needs a C++ compiler (--no-compile leaves it out)"
                    )
                )
                continue
            for name, one in timed.items():
                measured[name].append(one)
    tell(Progress(f"timing {' '.join(networks)}", len(ways), len(ways), {}))
    return measured


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
