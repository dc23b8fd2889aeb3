"""Latency: milliseconds per image of a run's student or of a config's networks."""

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
    """Time networks on one image, in turns: plain, channels last, in bfloat16, and compiled.

    Args:
        source: a run folder or its weights for the student alone, or a config or recipe for
            teacher and students, untrained.
        size: height and width of the image.
        threads: of torch, on a CPU.
        device: ``cpu`` or ``cuda``.
        compiled: also try ``torch.compile``.
        passes: forward passes that count, each way.
        overrides: ``a.b=value`` words, where ``source`` is a config.
        trust: ``import:`` and ``file:`` targets that files may name; see
            :mod:`segdistill.trust`.
        tell: called with the ways measured, and where ``torch.compile`` does not work.

    Returns:
        Measurements by network.

    Raises:
        ConfigError: no such device, or the config cannot be run.
        RunFolderError: the folder holds no finished run.
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
        # Compiled ones by themselves: where one does not compile, the others still are timed.
        for some in [{name: one} for name, one in moved.items()] if compile_it else [moved]:
            try:
                timed = measure_together(
                    some,
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
                        f"{' '.join(some)}: torch.compile does not work here: {reason}; on a CPU "
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
