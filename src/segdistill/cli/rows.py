"""Printing rows of the catalogue: names and descriptions, or also settings and sources."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from segdistill.catalogue.settings import REQUIRED, Setting, as_yaml
from segdistill.cli.tables import print_list

Containing = Annotated[str, typer.Argument(help="Only names that contain this.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show settings and sources too.")]

Rows = dict[str, dict[str, Any]]


def print_rows(rows: Rows, containing: str, *, verbose: bool, as_json: bool) -> None:
    """Print the rows whose name contains a word, as JSON or as text.

    Args:
        rows: rows by name; each has ``about``, and further values for ``verbose``.
        containing: part of a name; "" for all.
        verbose: also print settings, sources and the like.
        as_json: print one JSON object.

    Raises:
        ConfigError: no name contains the word.
    """
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
    if not verbose:
        print_list({name: row["about"] for name, row in chosen.items()})
        return
    width = max(map(len, chosen))
    for name, row in chosen.items():
        print(f"{name.ljust(width)}  {row['about']}".rstrip())
        for key, value in row.items():
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


def entries(table: Mapping[str, Any]) -> Rows:
    """Return the rows of a table of constructors for printing."""
    return {
        name: {"about": row.about, "settings": records(row.settings)} for name, row in table.items()
    }


def records(settings: Mapping[str, Setting]) -> dict[str, dict[str, Any]]:
    """Return settings as JSON values."""
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
