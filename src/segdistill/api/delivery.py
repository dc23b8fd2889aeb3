"""What networks cost, what is inside them, and files that other programs run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from torch import nn

from segdistill.api.places import find_run
from segdistill.api.saved import load_student, pick_device
from segdistill.catalogue.datasets import DATASETS
from segdistill.catalogue.tables import load
from segdistill.config import DataConfig, NetworkConfig, RunConfig
from segdistill.config.loading import LoadedConfig, load_config
from segdistill.delivery.cost import Cost, count, count_as_cirkd
from segdistill.delivery.latency import Arithmetic, Latency, measure
from segdistill.delivery.onnx import export_onnx
from segdistill.delivery.parity import Parity, compare_onnx, other_sizes
from segdistill.errors import ConfigError, DataError, SegdistillError
from segdistill.files import claim, move_whole
from segdistill.models import Adapter, build_network, taps
from segdistill.models.taps import TapShape
from segdistill.runs.layout import ONNX
from segdistill.runs.result import has_result, read_result
from segdistill.training.build import open_split
from segdistill.training.events import Note, Progress, Tell, silent

_LARGEST_DIFFERENCE = 1e-3
_LEAST_AGREEMENT = 0.999
_OR_STATIC = "; --static writes a file for one image size, which may work"


def cost(
    source: str | Path | LoadedConfig,
    size: tuple[int, int],
    *,
    counter: Literal["torch", "cirkd"] = "torch",
    auxiliary: bool = False,
    overrides: Sequence[str] = (),
    trust: Sequence[str] = (),
) -> dict[str, Cost]:
    """Count parameters and arithmetic of a config's teacher and students.

    Args:
        source: config file or recipe; no weights are read, and no data where the dataset's
            classes are known without.
        size: height and width of the image.
        counter: ``torch``, or ``cirkd`` for that paper's way of counting.
        auxiliary: count auxiliary heads too, as some papers do; ``cirkd`` always does.
        overrides: ``a.b=value`` words.
        trust: ``import:`` and ``file:`` targets that files may name; see
            :mod:`segdistill.trust`.

    Returns:
        Cost by ``teacher``, and ``student`` or the learners' names where these differ.

    Raises:
        ConfigError: the config cannot be run, or the counter is unknown.
        ValueError: a network does not run on an image of this size.
    """
    counters: dict[str, Callable[[nn.Module, tuple[int, int]], Cost]] = {
        "torch": partial(count, auxiliary=auxiliary),
        "cirkd": count_as_cirkd,
    }
    if counter not in counters:
        raise ConfigError(f"cost: expected counter torch or cirkd, got '{counter}'")
    networks = _untrained(load_config(source, overrides, trust=trust).learners)
    return {name: counters[counter](network, size) for name, network in networks.items()}


def list_taps(
    source: str | Path | LoadedConfig,
    *,
    overrides: Sequence[str] = (),
    trust: Sequence[str] = (),
) -> dict[str, dict[str, TapShape]]:
    """Return every tap of a config's teacher and students, with width and stride.

    The networks meet one image of the crop's size. Names that the config gives come first,
    but for those of modules that do not exist or give no map.

    Args and errors as :func:`cost`.
    """
    loaded = load_config(source, overrides, trust=trust).learners
    crop = next(iter(loaded.values())).data.crop
    sections = _sections(loaded)
    found = {}
    # Without the config's names: who mistyped a path comes here to find the right one.
    for name, network in _untrained(loaded, taps={}).items():
        shapes = taps.list_taps(network, crop)
        inside = ""
        if isinstance(network, Adapter):  # its maps are listed by name already
            shapes = {path: each for path, each in shapes.items() if not path.startswith("maps.")}
            inside = "network."
        named = {
            tap: shapes[inside + path.removeprefix(inside)]
            for tap, path in (sections[name].taps or {}).items()
            if inside + path.removeprefix(inside) in shapes
        }
        found[name] = named | {path: each for path, each in shapes.items() if path not in named}
    return found


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
    """Time networks on one image: plain, channels last, in bfloat16, and compiled.

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
    place = pick_device(device)
    saved = not isinstance(source, LoadedConfig) and (
        Path(source).is_dir() or Path(source).suffix == ".safetensors"
    )
    if saved and not isinstance(source, LoadedConfig):
        networks = {"student": load_student(source, trust=trust).network}
    else:
        networks = _untrained(load_config(source, overrides, trust=trust).learners)
    ways = [way for way in _WAYS if compiled or not way[2]]
    measured: dict[str, list[Latency]] = {}
    for name, network in networks.items():
        measured[name] = []
        for done, (precision, channels_last, compile_it) in enumerate(ways):
            tell(Progress(f"timing {name}", done, len(ways), {}))
            try:
                one = measure(
                    network.to(place),
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
                        f"{name}: torch.compile does not work here: {reason}; on a CPU it needs a "
                        "C++ compiler (--no-compile leaves it out)"
                    )
                )
                continue
            measured[name].append(one)
        tell(Progress(f"timing {name}", len(ways), len(ways), {}))
    return measured


_WAYS: tuple[tuple[Arithmetic, bool, bool], ...] = (
    ("fp32", False, False),
    ("fp32", True, False),
    ("bf16", True, False),
    ("fp32", True, True),
)


@dataclass(frozen=True)
class Exported:
    """A file that was written, and how far it is from its network."""

    file: Path
    parity: tuple[Parity, ...]


def export(
    run: str | Path,
    out: str | Path | None = None,
    *,
    size: tuple[int, int] | None = None,
    static: bool = False,
    trust: Sequence[str] = (),
) -> Exported:
    """Write the student of a run as ONNX, after comparing the file with the network.

    Args:
        run: a run folder, or a safetensors file that a run wrote.
        out: the file; ``student.onnx`` in the run folder by default.
        size: height and width that it is traced with; it runs at others too. By default
            the size that the run's cost was counted at, or 256x256.
        static: write it for one image of that size only.
        trust: ``import:`` and ``file:`` targets that files may name; see
            :mod:`segdistill.trust`.

    Returns:
        The file, and its parity at the traced size and, unless it is static, three others.

    Raises:
        ConfigError: onnx, onnxscript or onnxruntime is not installed.
        OverwriteError: there is a file that export did not write.
        RunFolderError: the folder holds no finished run.
        SegdistillError: the file does not give what the network gives; none is left.
        ValueError: torch cannot export the network.
    """
    missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"export: expected the packages onnx, onnxscript and onnxruntime, got no "
            f"{', '.join(missing)}; pip install 'segdistill[export]'"
        )
    files = find_run(run)
    target = files.folder / ONNX if out is None else Path(out)
    claim("export", [target])
    network = load_student(run, trust=trust).network
    traced = size or _cost_size(files.folder)
    target.parent.mkdir(parents=True, exist_ok=True)
    unproven = target.with_name(f".{target.name}.unproven.onnx")
    try:
        export_onnx(network, unproven, traced, static=static)
        sizes = (traced,) if static else (traced, *other_sizes(traced))
        parity = tuple(compare_onnx(network, unproven, sizes))
        for one in parity:
            if one.failure:
                raise SegdistillError(
                    f"export: expected a file that onnxruntime runs at {one.size[0]}x"
                    f"{one.size[1]}, got: onnxruntime failed: {one.failure}; nothing was "
                    f"written{_OR_STATIC if not static else ''}"
                )
            far = one.largest_difference > _LARGEST_DIFFERENCE
            if far or one.agreement < _LEAST_AGREEMENT:
                raise SegdistillError(
                    f"export: expected a file that agrees with the network, got logits that "
                    f"differ by {one.largest_difference:.3g} and {100 * one.agreement:.2f} % "
                    f"equal classes at {one.size[0]}x{one.size[1]}; nothing was "
                    f"written{_OR_STATIC if not static else ''}"
                )
        move_whole(unproven, target, made_by="export")
    finally:
        unproven.unlink(missing_ok=True)
    return Exported(target, parity)


def _cost_size(folder: Path) -> tuple[int, int]:
    cost = read_result(folder).cost if has_result(folder) else None
    return (256, 256) if cost is None or cost.cost_size is None else cost.cost_size


def _untrained(loaded: Mapping[str, RunConfig], **change: object) -> dict[str, nn.Module]:
    """Build the teacher and each different student of configs, reading no weights."""
    first = next(iter(loaded.values()))
    classes = _count_classes(first.data, first.evaluation.split)
    return {name: _build(section, classes, change) for name, section in _sections(loaded).items()}


def _sections(loaded: Mapping[str, RunConfig]) -> dict[str, NetworkConfig]:
    first = next(iter(loaded.values()))
    sections: dict[str, NetworkConfig] = {}
    if first.teacher is not None:
        sections["teacher"] = first.teacher
    if all(config.student == first.student for config in loaded.values()):
        sections["student"] = first.student
    else:
        sections |= {name: config.student for name, config in loaded.items()}
    return sections


def _build(section: NetworkConfig, classes: int, change: Mapping[str, object]) -> nn.Module:
    changed = {"weights": None, **change}
    if "pretrained" in section.setting_names:
        changed["pretrained"] = False
    return build_network(section.model_copy(update=changed), classes=classes, seed=0)


def _count_classes(data: DataConfig, split: str) -> int:
    """Return the number of classes, from the data or, where they are not here, the table."""
    try:
        return len(open_split(data, split).classes)
    except DataError:
        known = DATASETS[data.dataset].classes
        if not known:
            raise
        return len(load("segdistill.data", known))


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
