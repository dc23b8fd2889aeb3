"""A JSON schema of run, study and search files, for editors that complete and check YAML."""

from __future__ import annotations

from typing import Any

from segdistill.catalogue.controls import CONTROLS
from segdistill.config.rows import TABLES, row_model, section_settings
from segdistill.config.sections import (
    DataConfig,
    EvaluationConfig,
    LossConfig,
    NamedSection,
    NetworkConfig,
    RunConfig,
    Section,
    TrainingConfig,
    UnlabelledConfig,
)
from segdistill.config.students import StudentSearchConfig
from segdistill.config.studies import MethodConfig, PairConfig, StudyConfig

Schema = dict[str, Any]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_NAMED: dict[str, type[NamedSection]] = {
    "data": DataConfig,
    "unlabelled": UnlabelledConfig,
    "network": NetworkConfig,
    "loss": LossConfig,
}
_PLAIN: dict[str, type[Section]] = {"training": TrainingConfig, "evaluation": EvaluationConfig}
_PART = "part of "
"""Prefix of the name of a section that another part of the file completes."""


def file_schema() -> Schema:
    """Return the schema of files for train, distill, study and search.

    Each dataset, network and loss has the settings of its own row; the help, type, range and
    default of a key are those of the catalogue.
    """
    definitions: Schema = {}
    for whole in (True, False):
        prefix = "" if whole else _PART
        for name, section in _NAMED.items():
            definitions[prefix + name] = _named(section, definitions, whole=whole)
        for name, plain in _PLAIN.items():
            definitions[prefix + name] = _object(plain, definitions, whole=whole)
        definitions[f"{prefix}run"] = _run(whole=whole)
    # A teacher that comes from a run is described in its weights file.
    definitions["teacher"] = {
        "if": {"required": ["network"]},
        "then": _ref("network"),
        "else": {**_ref(f"{_PART}network"), "required": ["weights"]},
    }
    definitions["study"] = _study(definitions)
    definitions["search"] = _search(definitions)
    return {
        "$schema": _DIALECT,
        "title": "segdistill",
        "type": "object",
        "if": {"required": ["methods"]},
        "then": _ref("study"),
        "else": {
            "if": {"required": ["students"]},
            "then": _ref("search"),
            "else": {
                "if": {"required": ["cohort"]},
                "then": _ref(f"{_PART}run"),
                "else": _ref("run"),
            },
        },
        "$defs": definitions,
    }


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name.replace(' ', '%20')}"}


def _run(*, whole: bool) -> Schema:
    prefix = "" if whole else _PART
    teacher = _ref("teacher" if whole else f"{_PART}network")
    properties: Schema = {
        "data": _ref(f"{prefix}data"),
        "teacher": {"anyOf": [teacher, {"type": "null"}]},
        "student": _ref(f"{prefix}network"),
        "distill": {"type": ["array", "null"], "items": _ref("loss")},
        "training": _ref(f"{prefix}training"),
        "evaluation": _ref(f"{prefix}evaluation"),
    }
    schema: Schema = {"type": "object", "additionalProperties": False}
    descriptions = {key: setting.help for key, setting in section_settings(RunConfig).items()}
    for key, value in properties.items():
        value["description"] = descriptions[key]
    # The other keys of the whole file are not sections.
    own = _object(RunConfig, {}, whole=whole)["properties"]
    properties |= {key: value for key, value in own.items() if key not in properties}
    if whole:
        required = [key for key, field in RunConfig.model_fields.items() if field.is_required()]
        return {**schema, "properties": properties, "required": required}
    learners = {"type": "object", "minProperties": 1, "additionalProperties": _ref(f"{_PART}run")}
    about = "learners by name, each with what differs from the rest of the file"
    return {**schema, "properties": {**properties, "cohort": {**learners, "description": about}}}


def _study(definitions: Schema) -> Schema:
    study = _object(StudyConfig, definitions, whole=True)
    pair = _object(PairConfig, definitions, whole=True)
    pair["properties"] |= {"teacher": _ref("teacher"), "student": _ref("network")}
    method = _object(MethodConfig, definitions, whole=True)
    terms = {"type": "array", "items": _ref("loss")}
    method["properties"]["distill"] |= terms
    properties = study["properties"]
    for key in ("data", "training", "evaluation"):
        properties[key] = {**_ref(key), "description": properties[key]["description"]}
    properties["pairs"] |= {"additionalProperties": pair}
    methods = {"anyOf": [terms, method, {"type": "null"}]}
    properties["methods"] |= {"additionalProperties": methods}
    properties["seeds"] |= {"type": ["integer", "array"], "minimum": 1}
    study["properties"] = {
        **properties,
        "teacher": _ref("teacher"),
        "student": _ref("network"),
        "controls": {
            "type": "array",
            "items": {"enum": list(CONTROLS)},
            "uniqueItems": True,
            "description": "control arms, by name: " + ", ".join(CONTROLS),
        },
    }
    study["required"] = [key for key in study["required"] if key != "pairs"]
    study["oneOf"] = [{"required": ["pairs"]}, {"required": ["teacher", "student"]}]
    return study


def _search(definitions: Schema) -> Schema:
    search = _object(StudentSearchConfig, definitions, whole=True)
    properties = search["properties"]
    for key in ("data", "teacher", "training", "evaluation"):
        properties[key] = {**_ref(key), "description": properties[key]["description"]}
    properties["distill"] |= {"items": _ref("loss")}
    properties["seeds"] |= {"type": ["integer", "array"], "minimum": 1}
    return search


def _named(section: type[NamedSection], definitions: Schema, *, whole: bool) -> Schema:
    """Return the schema of a section whose keys depend on the row that it names."""
    selector, table = section.selector, TABLES[section.selector]
    rules, keys, anything = [], {selector}, False
    for row in table:
        name = {"pattern": f"^{row}"} if row.endswith(":") else {"const": row}
        body = _object(row_model(section, row), definitions, whole=whole)
        keys |= body["properties"].keys()
        if "unlabelled" in body["properties"]:
            below = [_ref("unlabelled"), {"type": "null"}]
            body["properties"]["unlabelled"] = {"anyOf": below}
        if "members" in body["properties"]:
            body["properties"]["members"] |= {"items": _ref("teacher"), "minItems": 2}
        body["properties"][selector] = name
        named = {"properties": {selector: name}, "required": [selector]}
        anything |= bool(body.get("additionalProperties", True))
        rules.append({"if": named, "then": body})
    names = [row for row in table if not row.endswith(":")]
    prefixes = [row for row in table if row.endswith(":")]
    known: list[Schema] = [{"enum": names}]
    if prefixes:
        known.append({"pattern": f"^({'|'.join(prefixes)})."})
    about = section.model_fields[selector].description
    return {
        "type": "object",
        "description": section.__doc__,
        "properties": {selector: {"type": "string", "description": about, "anyOf": known}},
        # The settings of a user's own code are unknown.
        **({} if anything else {"propertyNames": {"enum": sorted(keys)}}),
        "allOf": rules,
        **({"required": [selector]} if whole else {}),
    }


def _object(section: type[Section], definitions: Schema, *, whole: bool) -> Schema:
    """Return a section's own schema, with the accepted values in each key's description."""
    schema = section.model_json_schema()
    for name, inner in schema.pop("$defs", {}).items():
        definitions[name] = inner
    for key, setting in section_settings(section).items():
        # A section is described where it is defined.
        if "$ref" not in schema["properties"][key]:
            schema["properties"][key]["description"] = setting.line
            schema["properties"][key].pop("title", None)
    schema.pop("title")
    if not whole:
        schema.pop("required", None)
    return schema
