"""Taps: the inner maps of a config's networks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from segdistill.api.untrained import sections_of, untrained
from segdistill.config.loading import LoadedConfig, load_config
from segdistill.models import Adapter
from segdistill.models.taps import TapShape, list_taps


def taps(
    source: str | Path | LoadedConfig,
    *,
    overrides: Sequence[str] = (),
    trust: Sequence[str] = (),
) -> dict[str, dict[str, TapShape]]:
    """Return every inner map of a config's teacher and students, with width and stride.

    They are found with one image of the crop's size. Names given in the config come first, except
    those of modules that do not exist or return no map.

    Example::

        for path, shape in segdistill.taps("camvid/students")["student"].items():
            print(path, shape.channels, shape.stride)

    Arguments and errors are those of :func:`segdistill.cost`.
    """
    loaded = load_config(source, overrides, trust=trust).learners
    crop = next(iter(loaded.values())).data.crop
    sections = sections_of(loaded)
    listed = {}
    # Without the config's names, because users come here to correct a wrong path.
    for name, network in untrained(loaded, taps={}).items():
        shapes = list_taps(network, crop)
        inside = ""
        if isinstance(network, Adapter):  # its maps are already listed by name
            shapes = {path: tap for path, tap in shapes.items() if not path.startswith("maps.")}
            inside = "network."
        named = {
            tap: shapes[inside + path.removeprefix(inside)]
            for tap, path in (sections[name].taps or {}).items()
            if inside + path.removeprefix(inside) in shapes
        }
        listed[name] = named | {path: tap for path, tap in shapes.items() if path not in named}
    return listed
