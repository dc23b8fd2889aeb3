"""``segdistill list``: what a config may name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from segdistill.catalogue.settings import REQUIRED, Setting, as_yaml
from segdistill.cli.words import Config, Json, Overrides, Trust, check_config

Containing = Annotated[str, typer.Argument(help="Only names that contain this.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Also settings and sources.")]

Rows = dict[str, dict[str, Any]]


def losses(containing: Containing = "", verbose: Verbose = False, json: Json = False) -> None:
    """List distillation losses.

    Example: segdistill list losses --verbose
    """
    from segdistill.catalogue.losses import LOSSES
    from segdistill.config import LossConfig
    from segdistill.config.rows import row_model, section_settings

    rows: Rows = {}
    for name, row in LOSSES.items():
        settings = section_settings(row_model(LossConfig, name))
        del settings["loss"]
        rows[name] = {"about": row.about, "source": row.source, "settings": _records(settings)}
    _print(rows, containing, verbose=verbose, as_json=json)


def networks(containing: Containing = "", verbose: Verbose = False, json: Json = False) -> None:
    """List networks: ours, and how to name anybody's.

    Example: segdistill list networks --verbose
    """
    from segdistill.config.rows import TABLES

    _print(_entries(TABLES["network"]), containing, verbose=verbose, as_json=json)


def backbones(containing: Containing = "", json: Json = False) -> None:
    """List backbones: ours, and all of timm's.

    Example: segdistill list backbones mobilenetv2
    """
    from segdistill.catalogue.backbones import listed_backbones

    names = listed_backbones()
    if names is None:
        from segdistill.models import backbone_names

        names = tuple(backbone_names())
    rows: Rows = {name: {"about": ""} for name in names}
    _print(rows, containing, verbose=False, as_json=json)


def heads(containing: Containing = "", verbose: Verbose = False, json: Json = False) -> None:
    """List heads; each network above a backbone has one.

    Example: segdistill list heads --verbose
    """
    from segdistill.catalogue.networks import HEADS

    _print(_entries(HEADS), containing, verbose=verbose, as_json=json)


def datasets(containing: Containing = "", verbose: Verbose = False, json: Json = False) -> None:
    """List datasets, and how to lay them out.

    Example: segdistill list datasets camvid --verbose
    """
    from segdistill.catalogue.datasets import DATASETS, dataset_settings
    from segdistill.catalogue.tables import load

    rows: Rows = {}
    for name, row in DATASETS.items():
        rows[name] = {
            "about": row.about,
            "splits": list(row.splits),
            "ignored labels": row.ignored,
            "layout below root": row.layout,
            "source": row.source,
            "licence": row.licence,
            "settings": _records(dataset_settings(name)),
        }
        if not row.classes:
            rows[name]["classes"] = "the files decide" if row.ignored != "all" else "none"
        elif verbose and containing in name:
            classes = load("segdistill.data", row.classes)
            rows[name]["number of classes"] = len(classes)
            rows[name]["classes"] = {
                label: "#{:02x}{:02x}{:02x}".format(*color)
                for label, color in zip(classes.names, classes.colors, strict=True)
            }
    _print(rows, containing, verbose=verbose, as_json=json)


def analyses(containing: Containing = "", verbose: Verbose = False, json: Json = False) -> None:
    """List what segdistill analyse looks at.

    Example: segdistill list analyses --verbose
    """
    from segdistill.catalogue.analyses import ANALYSES

    rows = _entries(ANALYSES)
    for name, row in ANALYSES.items():
        rows[name] |= {"needs": row.needs, "source": row.source}
    _print(rows, containing, verbose=verbose, as_json=json)


def formats(containing: Containing = "", verbose: Verbose = False, json: Json = False) -> None:
    """List the formats that segdistill export writes.

    Example: segdistill list formats --verbose
    """
    from segdistill.catalogue.formats import FORMATS

    rows = _entries(FORMATS)
    for name, row in FORMATS.items():
        rows[name] |= {"packages": list(row.packages), "source": row.source}
    _print(rows, containing, verbose=verbose, as_json=json)


def conversions(containing: Containing = "", verbose: Verbose = False, json: Json = False) -> None:
    """List the exports of annotation tools that convert reads.

    Example: segdistill list conversions --verbose
    """
    from segdistill.catalogue.conversions import CONVERSIONS

    rows: Rows = {
        name: {"about": row.about, "files": row.layout} for name, row in CONVERSIONS.items()
    }
    _print(rows, containing, verbose=verbose, as_json=json)


def taps(
    config: Config, overrides: Overrides = None, trust: Trust = None, json: Json = False
) -> None:
    """List the inner maps of a config's networks.

    Each path can be a term's tap, or be given a name under taps in the config.

    Example: segdistill list taps camvid/students data.root=camvid
    """
    from dataclasses import asdict
    from json import dumps

    checked = check_config(config, overrides, trust)
    from segdistill.api import delivery

    found = delivery.list_taps(checked)
    if json:
        shapes = {
            name: {path: asdict(shape) for path, shape in network.items()}
            for name, network in found.items()
        }
        print(dumps(shapes))
        return
    for name, network in found.items():
        width = max(map(len, network))
        print(f"{name}:")
        for path, shape in network.items():
            size = f"{shape.size[0]}x{shape.size[1]}"
            print(f"  {path.ljust(width)}  {shape.channels:5} x {size:9} stride {shape.stride}")


def _print(rows: Rows, containing: str, *, verbose: bool, as_json: bool) -> None:
    from json import dumps

    from segdistill.checks import nearest
    from segdistill.errors import ConfigError

    chosen = {name: row for name, row in rows.items() if containing.lower() in name.lower()}
    if not chosen:
        raise ConfigError(
            f"list: expected part of a name, got '{containing}'; "
            + (nearest(containing, rows) if len(rows) < 100 else "leave it out to see all")
        )
    if as_json:
        print(dumps(chosen if verbose else {name: row["about"] for name, row in chosen.items()}))
        return
    width = max(map(len, chosen))
    for name, row in chosen.items():
        print(f"{name.ljust(width)}  {row['about']}".rstrip())
        for key, value in row.items() if verbose else ():
            if key == "settings" and value:
                print("    settings:")
                for line in _setting_lines(value):
                    print(f"      {line}")
            elif key not in ("about", "settings") and value:
                print(f"    {key}: {_in_words(value)}")


def _in_words(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={inner}" for key, inner in value.items())
    return ", ".join(value) if isinstance(value, list) else str(value)


def _entries(table: Mapping[str, Any]) -> Rows:
    return {
        name: {"about": row.about, "settings": _records(row.settings)}
        for name, row in table.items()
    }


def _records(settings: Mapping[str, Setting]) -> dict[str, dict[str, Any]]:
    """Return settings as JSON holds them."""
    return {
        key: {
            "takes": setting.accepts,
            "unit": setting.unit,
            "required": setting.default is REQUIRED,
            "default": None if setting.default is REQUIRED else setting.default,
            "help": setting.help,
            "source": setting.source,
        }
        for key, setting in settings.items()
    }


def _setting_lines(records: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for key, record in records.items():
        value = "" if record["required"] else f"={as_yaml(record['default'])}"
        unit = f" ({record['unit']})" if record["unit"] else ""
        yield f"{key}{value}: {record['help']}. Takes {record['takes']}{unit}."
