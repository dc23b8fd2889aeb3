"""The rows of the catalogue as pydantic models with a section's keys and those of one row."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from functools import cache, reduce
from operator import or_
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import Field, JsonValue, create_model
from pydantic.fields import FieldInfo

from segdistill.catalogue.datasets import (
    DATASETS,
    OF_ANYBODY,
    Dataset,
    image_settings,
    label_settings,
    later_settings,
)
from segdistill.catalogue.losses import LOSSES, OWN, Loss, row_of
from segdistill.catalogue.networks import NETWORKS, SOURCES, TEACHERS
from segdistill.catalogue.settings import REQUIRED, Setting
from segdistill.catalogue.tables import Entry
from segdistill.config.sections import (
    LossConfig,
    NamedSection,
    NetworkConfig,
    OwnLossConfig,
    Section,
    UnlabelledConfig,
)

Row = Entry | Loss | Dataset

TABLES: dict[str, Mapping[str, Row]] = {
    "loss": {**LOSSES, OWN: row_of(OWN)},
    "network": {
        **NETWORKS,
        **TEACHERS,
        **{f"{source}:": row for source, row in SOURCES.items()},
    },
    "dataset": {**DATASETS, OWN: OF_ANYBODY},
}
"""Tables, by the key that names one of their rows. A name that ends in a colon is a prefix."""


def row_name(name: str) -> str:
    """Return the row for a name in a config, such as ``smp:`` for ``smp:unet``."""
    prefix, colon, _ = name.partition(":")
    return prefix + colon


@cache
def row_model(section: type[NamedSection], row: str) -> type[NamedSection]:
    """Return the section with the settings of one row in addition to its own keys.

    Args:
        section: such as :class:`LossConfig`.
        row: a name in the table that the section's ``selector`` names.
    """
    entry = TABLES[section.selector][row]
    if section is LossConfig and row == OWN:
        return OwnLossConfig
    fields: dict[str, Any] = {}
    if isinstance(entry, Loss) and issubclass(section, LossConfig):
        for key in ("tap", "weight", "align", "project", "beside"):  # by default the paper's
            field = copy(section.model_fields[key])
            field.default = getattr(entry, key)
            fields[key] = (field.annotation, field)
    later: tuple[str, ...] = ()
    settings = dict(entry.settings)
    if isinstance(entry, Dataset) and entry is not OF_ANYBODY:
        # Images alone have no labels that could be mapped.
        labels = {} if issubclass(section, UnlabelledConfig) else label_settings(row)
        settings |= {**image_settings(row), **labels}
        later = tuple(key for key in later_settings(row) if key in settings)
    if issubclass(section, NetworkConfig) and "class_map" not in settings:
        later = ("class_map",)
    # A class map may be written with names, which the section resolves to the row's numbers.
    own = {key: setting for key, setting in settings.items() if key != "class_map"}
    fields |= {key: _as_field(setting) for key, setting in own.items()}
    model = create_model(section.__name__, __base__=section, __doc__=entry.about, **fields)
    model.setting_names = tuple(settings)
    model.later_names = later
    return model


def section_settings(model: type[Section]) -> dict[str, Setting]:
    """Return the keys of a section as settings; a section inside it counts as one setting."""
    return {key: as_setting(field) for key, field in model.model_fields.items()}


def as_setting(field: FieldInfo) -> Setting:
    """Return a model's field as a setting."""
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    annotation = field.annotation
    if field.metadata:
        annotation = Annotated[annotation, *field.metadata]  # type: ignore[assignment]
    default = REQUIRED if field.is_required() else field.get_default(call_default_factory=True)
    if isinstance(default, Section):
        default = default.model_dump(mode="json")
    return Setting(
        annotation,
        default,
        field.description or "",
        unit=str(extra.get("unit", "")),
        source=str(extra.get("source", "")),
    )


def _as_field(setting: Setting) -> tuple[Any, FieldInfo]:
    default = ... if setting.default is REQUIRED else setting.default
    extra: dict[str, JsonValue] = {"unit": setting.unit, "source": setting.source}
    field = Field(default, description=setting.help, json_schema_extra=extra)
    return _bounded(setting.type, setting.bounds), field


def _bounded(type_: Any, bounds: Mapping[str, float]) -> Any:
    """Return the type with its numbers restricted to the bounds."""
    origin, parts = get_origin(type_), get_args(type_)
    if not bounds:
        return type_
    if type_ in (int, float):
        return Annotated[
            type_,
            Field(
                gt=bounds.get("above"),
                ge=bounds.get("at_least"),
                lt=bounds.get("below"),
                le=bounds.get("at_most"),
            ),
        ]
    if origin in (Union, UnionType):
        return reduce(or_, (_bounded(part, bounds) for part in parts))
    if origin is tuple:
        return tuple[tuple(_bounded(part, bounds) for part in parts)]  # type: ignore[misc]
    return type_
