"""Export: a trained student as a file that other programs run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from segdistill.api.folders import CheckedRun, find_run
from segdistill.api.load import load
from segdistill.catalogue import tables
from segdistill.catalogue.formats import FORMATS
from segdistill.checks import nearest
from segdistill.delivery.parity import Parity, other_sizes
from segdistill.errors import ConfigError, SegdistillError
from segdistill.files import claim, move_whole
from segdistill.runs.layout import EXPORT
from segdistill.runs.result import has_result, read_result

_PACKAGE = "segdistill.delivery"
_LARGEST_DIFFERENCE = 1e-3
_LEAST_AGREEMENT = 0.999
_OR_STATIC = "; --static writes a file for one image size, which may work"


@dataclass(frozen=True)
class Exported:
    """A file that was written, and how far it is from its network."""

    file: Path
    parity: tuple[Parity, ...]


def export(
    run: str | Path | CheckedRun,
    out: str | Path | None = None,
    *,
    format: str = "onnx",
    size: tuple[int, int] | None = None,
    static: bool = False,
    overrides: Sequence[str] = (),
    trust: Sequence[str] = (),
) -> Exported:
    """Write the student of a run for other programs, after comparing the file with the network.

    Args:
        run: a run folder, a safetensors file that a run wrote, or what ``folders.check_run``
            returned.
        out: the file; ``student`` with the format's suffix in the run folder by default.
        format: a name of ``segdistill.catalogue.formats.FORMATS``.
        size: height and width that it is traced with; it runs at others too. By default
            the size that the run's cost was counted at, or 256x256.
        static: write it for one image of that size only.
        overrides: ``a.b=value`` words on the run's config; with ``data.root=…`` and
            ``student.class_map=[car, null, sky]`` the file has the classes of other data.
        trust: ``import:`` and ``file:`` targets that files may name; see
            :mod:`segdistill.trust`.

    Returns:
        The file, and its parity at the traced size and, unless it is static, three others.

    Raises:
        ConfigError: there is no such format, or a package that it needs is not installed.
        OverwriteError: there is a file that export did not write.
        RunFolderError: the folder holds no finished run.
        SegdistillError: the file does not give what the network gives; none is left.
        ValueError: torch cannot export the network.
    """
    if format not in FORMATS:
        raise ConfigError(f"export: there is no format '{format}'; {nearest(format, FORMATS)}")
    row = FORMATS[format]
    if static and "static" not in row.settings:
        raise ConfigError(
            f"export: expected a format with static files, got {format}; leave it out"
        )
    missing = [name for name in row.packages if find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"export: expected the packages {', '.join(row.packages)} for {format}, got no "
            f"{', '.join(missing)}; pip install 'segdistill[{row.extra}]'"
        )
    files = run.files if isinstance(run, CheckedRun) else find_run(run)
    target = files.folder / f"{EXPORT}{row.suffix}" if out is None else Path(out)
    claim("export", [target])
    student = load(run, overrides=overrides, trust=trust)
    network = student.network
    traced = size or _cost_size(files.folder)
    target.parent.mkdir(parents=True, exist_ok=True)
    unproven = target.with_name(f".{target.name}.unproven{row.suffix}")
    try:
        settings: dict[str, Any] = {"static": True} if static else {}
        if "classes" in row.given:
            settings["classes"] = student.classes
        tables.load(_PACKAGE, row.target)(network, unproven, traced, **settings)
        sizes = (traced,) if static else (traced, *other_sizes(traced))
        answer = "" if static else _OR_STATIC
        parity = tuple(tables.load(_PACKAGE, row.compare)(network, unproven, sizes))
        for at_size in parity:
            if at_size.failure:
                raise SegdistillError(
                    f"export: expected a file that runs at {at_size.size[0]}x{at_size.size[1]}, "
                    f"got: {at_size.failure}; nothing was written{answer}"
                )
            far = at_size.largest_difference > _LARGEST_DIFFERENCE
            if far or at_size.agreement < _LEAST_AGREEMENT:
                raise SegdistillError(
                    f"export: expected a file that agrees with the network, got logits that "
                    f"differ by {at_size.largest_difference:.3g} and "
                    f"{100 * at_size.agreement:.2f} % equal classes at "
                    f"{at_size.size[0]}x{at_size.size[1]}; nothing was written{answer}"
                )
        move_whole(unproven, target, made_by="export")
    finally:
        unproven.unlink(missing_ok=True)
    return Exported(target, parity)


def _cost_size(folder: Path) -> tuple[int, int]:
    cost = read_result(folder).cost if has_result(folder) else None
    return (256, 256) if cost is None or cost.cost_size is None else cost.cost_size
