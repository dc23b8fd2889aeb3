"""Write the generated pages of docs/, the reference files and the list of backbones.

Run ``make docs`` after changing a table, a docstring or a config section. A test compares the
files with what this script would write.
"""

from __future__ import annotations

import importlib
import inspect
import json
import re
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

from docstrings import as_markdown, signature

import segdistill
from segdistill import config, data, losses, models, testing
from segdistill.catalogue import tables
from segdistill.catalogue.backbones import first_line
from segdistill.catalogue.controls import CONTROLS
from segdistill.catalogue.datasets import DATASETS, dataset_settings
from segdistill.catalogue.losses import LOSSES, Loss, costs, licence_in_words, needs
from segdistill.catalogue.settings import Setting, as_yaml
from segdistill.config import rows, students, studies
from segdistill.data.files.pixels import pixels
from segdistill.data.files.relabel import relabel
from segdistill.models import backbone_names

ROOT = Path(__file__).parents[1]
RECIPE = ROOT / "src" / "segdistill" / "recipes" / "reference.yaml"
BACKBONES = ROOT / "src" / "segdistill" / "catalogue" / "backbones.txt"
STUDY = ROOT / "src" / "segdistill" / "recipes" / "studies" / "reference.yaml"
SEARCH = ROOT / "src" / "segdistill" / "recipes" / "searches" / "reference.yaml"
LOSSES_PAGE = ROOT / "docs" / "losses.md"
DATASETS_PAGE = ROOT / "docs" / "datasets.md"
API_PAGE = ROOT / "docs" / "api.md"
COMPATIBILITY_PAGE = ROOT / "docs" / "compatibility.md"
COMPATIBILITY = ROOT / "benchmarks" / "results" / "compatibility.json"
PARITY_PAGE = ROOT / "docs" / "parity.md"
PARITY = ROOT / "benchmarks" / "results" / "parity.json"

SECTIONS: tuple[tuple[str, type[config.Section], dict[str, str]], ...] = (
    ("data", config.DataConfig, {"dataset": "scenes", "crop": "[96, 128]"}),
    ("teacher", config.NetworkConfig, {"network": "deeplabv3", "backbone": "resnet18"}),
    ("student", config.NetworkConfig, {"network": "lraspp", "backbone": "mobilenetv2_035"}),
    ("distill", config.LossConfig, {"loss": "pixelwise_kl", "tap": "logits", "weight": "1.0"}),
    ("training", config.TrainingConfig, {"steps": "400"}),
    ("evaluation", config.EvaluationConfig, {}),
)


def reference() -> str:
    """Return a run file with every key: what it takes, what it does and its default."""
    lines = [
        "# Every key: what it takes, what it does and its default, of one dataset, network and "
        "loss each.",
        "# segdistill distill reference teacher.weights=teacher.safetensors",
    ]
    for name, section, given in SECTIONS:
        model = section
        if issubclass(section, config.NamedSection):
            model = rows.row_model(section, given[section.selector])
        lines.append(f"{name}: # {config.RunConfig.model_fields[name].description}")
        if name == "distill":
            first, *others = _section(model, given, "    ")
            lines += [f"  - {first.lstrip()}", *others]
        else:
            lines += _section(model, given, "  ")
    return "\n".join(lines) + "\n"


def study_reference() -> str:
    """Return a study file with every key: what it takes, what it does and its default."""
    return (
        "# Every key of a study file: what it takes, what it does and its default.\n"
        "# segdistill study studies/reference --out study --dry-run\n"
        + "\n".join(_section(studies.StudyConfig, _STUDY_VALUES))
        + f"\ncontrols: [] # control arms, by name: {', '.join(CONTROLS)}\n"
    )


def search_reference() -> str:
    """Return a search file with every key: what it takes, what it does and its default."""
    return (
        "# Every key of a search file: what it takes, what it does and its default.\n"
        "# segdistill search searches/reference --out search --dry-run\n"
        + "\n".join(_section(students.StudentSearchConfig, _SEARCH_VALUES))
        + "\n"
    )


_TEACHER = (
    "{network: lraspp, backbone: resnet18, output_stride: 16, width: 128, "
    "weights: demo/teacher/model.safetensors}"
)
_STUDENT = "{network: lraspp, backbone: mobilenetv2_035, output_stride: 16, width: 64}"
_STUDY_VALUES = {
    "data": "{dataset: scenes, batch_size: 8, crop: [96, 128]}",
    "pairs": f"{{resnet18-mobilenetv2: {{teacher: {_TEACHER}, student: {_STUDENT}}}}}",
    "methods": "{kl: [{loss: pixelwise_kl, weight: 1.0}]}",
    "training": "{steps: 400, lr: 0.05}",
    "seeds": "8",
}


_SEARCH_VALUES = {
    "data": "{dataset: scenes, batch_size: 8, crop: [96, 128]}",
    "teacher": _TEACHER,
    "distill": "[{loss: pixelwise_kl}]",
    "training": "{steps: 400, lr: 0.05}",
    "seeds": "3",
}


def _section(
    section: type[config.Section], given: dict[str, str], indent: str = ""
) -> Iterator[str]:
    """Yield one line per key, and the keys of a section inside it below its own key."""
    for key, setting in rows.section_settings(section).items():
        inner = section.model_fields[key].default
        if isinstance(inner, config.Section):
            yield f"{indent}{key}: # {setting.help}"
            yield from _section(type(inner), {}, f"{indent}  ")
        else:
            value = given.get(key, as_yaml(setting.default))
            yield f"{indent}{key}: {value} # {setting.line}"


def backbones_list() -> str:
    """Return catalogue/backbones.txt: the names that timm knows, for those who do not load it."""
    return "\n".join([first_line(version("timm")), *backbone_names()]) + "\n"


def losses_page() -> str:
    """Return docs/losses.md: every row of ``LOSSES`` with what its docstrings say."""
    parts = [
        "# Losses\n",
        "Generated from the table `LOSSES` and the docstrings by `make docs`; do not edit. The "
        "house convention: KL is KL(teacher ‖ student); a loss is a mean over images and valid "
        "positions, channels or pairs; a temperature brings a factor of its square; computation "
        "is in float32 or better. A published weight is valid only with its own normalisation; "
        "the recipes of `segdistill recipes list` contain the papers' weights, translated.\n",
        _overview(),
    ]
    for name, row in LOSSES.items():
        parts.append(_loss(name, row))
    return "\n".join(parts)


def datasets_page() -> str:
    """Return docs/datasets.md: every row of ``DATASETS``, and how its reader is tested."""
    parts = [
        "# Datasets\n",
        "Generated from the table `DATASETS` by `make docs`; do not edit. `segdistill list "
        "datasets --verbose` prints the same with the names and colours of all classes. "
        "segdistill contains no data and downloads none; each dataset has its owner's licence. A "
        "`data.root` one level too high or too deep is refused, and the message names the right "
        "one.\n",
        "| dataset | classes | splits | ignored | how it is tested |",
        "|---|---|---|---|---|",
    ]
    for name, row in DATASETS.items():
        classes = len(tables.load("segdistill.data", row.classes)) if row.classes else "yours"
        cells = [f"[`{name}`](#{name})", str(classes), ", ".join(row.splits) or "yours"]
        parts.append(f"| {' | '.join([*cells, row.ignored, row.tested])} |")
    for name, row in DATASETS.items():
        parts.append(
            f"\n## {name}\n\n{row.about}\n\nSettings:\n\n{_settings(dataset_settings(name))}"
            "\n\nFiles:\n"
        )
        parts.append(f"- below `root`: `{row.layout}`")
        parts += [f"- source: {row.source}"] if row.source else []
        parts += [f"- licence: {row.licence}"] if row.licence else []
        module, _, attribute = row.target.partition(":")
        reader = getattr(importlib.import_module(f"segdistill.data.{module}"), attribute)
        parts.append(f"\n{as_markdown(reader)}".rstrip())
    parts.append("\n## Settings that datasets share\n\nHow images become RGB:\n")
    parts.append(as_markdown(pixels).rstrip())
    parts.append("\nWhat the labels of masks mean:\n")
    parts.append(as_markdown(relabel).rstrip())
    return "\n".join(parts) + "\n"


def api_page() -> str:
    """Return docs/api.md: the verbs in the order of ``help(segdistill)``, then the packages."""
    text = inspect.getdoc(segdistill) or ""
    parts = [
        "# Python\n",
        "Generated from the docstrings by `make docs`; do not edit. Every command is a function, "
        "which prints nothing and returns its results. The losses have "
        "[a page of their own](losses.md).\n",
    ]
    for heading, lines in re.findall(r"^(\S.*):\n\n((?:- .*\n)+)", text, flags=re.M):
        parts.append(f"## {heading}\n")
        parts += [_described(segdistill, name) for name in re.findall(r"- ``(\w+)\(", lines)]
    on_their_page: set[str] = set()
    for row in LOSSES.values():
        module, _, attribute = row.target.partition(":")
        source = importlib.import_module(f"segdistill.losses.{module}")
        on_their_page |= {attribute, *(function.__name__ for function in _functions(source))}
    others = [name for name in losses.__all__ if name not in on_their_page]
    for package, names in (
        (testing, testing.__all__),
        (losses, others),
        (models, models.__all__),
        (data, data.__all__),
    ):
        parts.append(f"## `{package.__name__}`\n\n{as_markdown(package)}")
        parts += [_described(package, name) for name in names]
    return "\n".join(parts)


def _described(package: ModuleType, name: str) -> str:
    """Return a public name with its signature and docstring."""
    thing = getattr(package, name)
    if isinstance(thing, dict):
        return f"### {name}\n\nThe names: `{'`, `'.join(thing)}`.\n"
    called = signature(f"{package.__name__}.{name}", thing)
    return f"### {name}\n\n```python\n{called}\n```\n\n{as_markdown(thing)}"


_STEPS = {
    "check": "maps",
    "train": "a training step",
    "odd size": "an odd size",
    "teacher": "as a teacher",
    "export": "ONNX",
}


def compatibility_page() -> str:
    """Return docs/compatibility.md: what was measured with one network of each family."""
    measured = json.loads(COMPATIBILITY.read_text(encoding="utf-8"))
    packages = measured["environment"]["packages"]
    parts = [
        "# Compatibility\n",
        "Generated from `benchmarks/results/compatibility.json` by `make docs`; do not edit. One "
        "network of each family was tried, with random weights and 5 classes; timm's networks as "
        "the backbone of an FCN at the deepest stride for which they return maps (timm "
        f"{packages['timm']}, torch {packages['torch']}, on a CPU). `segdistill check` tries any "
        "other network in the same way.\n",
        "- **maps**: channels/stride of the last inner map and of the logits for images of 96×128 "
        "(192×256 for networks whose pooling needs larger ones, and for those that timm builds for "
        "one size, that size);\n"
        "- **a training step**: cross-entropy and `pixelwise_kl`, with all gradients finite; "
        "tensors without a gradient are counted;\n"
        "- **an odd size**: classes for images of 95×129;\n"
        "- **as a teacher**: frozen three times; *rewritten* means folded norms and channels last, "
        "*as given* means that this could not be proven equivalent; both give the network's "
        "logits within 0.001;\n"
        "- **ONNX**: the file was run by onnxruntime and compared, at any size or at one; - means "
        "not tried.\n",
        _counted(measured["families"]),
    ]
    head = ["family", "network", *_STEPS.values()]
    parts.append("\n".join([f"| {' | '.join(head)} |", "|---" * len(head) + "|"]))
    reasons: list[str] = []
    rows = []
    for name, row in measured["families"].items():
        cells = [name, f"`{row['network']}`" if row["network"] else ""]
        for step in _STEPS:
            outcome = row.get(step, "-")
            if outcome.startswith("no: "):
                reason = outcome.removeprefix("no: ")
                if reason not in reasons:
                    reasons.append(reason)
                outcome = f"no ({reasons.index(reason) + 1})"
            cells.append(outcome)
        rows.append(f"| {' | '.join(cells)} |")
    parts[-1] += "\n" + "\n".join(rows) + "\n"
    if reasons:
        parts.append("The messages of the steps that are refused or fail:\n")
        shown = (re.sub(r"\S*/T?tmp\S*/", "", reason) for reason in reasons)
        parts.append("\n".join(f"{number}. {text}" for number, text in enumerate(shown, 1)) + "\n")
    return "\n".join(parts)


def _counted(rows: Mapping[str, Mapping[str, str]]) -> str:
    """Say for how many families each step works."""
    counts = []
    for step, words in _STEPS.items():
        tried = [row[step] for row in rows.values() if step in row]
        works = sum(not answer.startswith("no: ") for answer in tried)
        counts.append(f"{words} {works} of {len(tried)}")
    return f"Of {len(rows)} families: {', '.join(counts)} that were tried.\n"


def parity_page() -> str:
    """Return docs/parity.md: how far every loss in several processes is from one process."""
    measured = json.loads(PARITY.read_text(encoding="utf-8"))
    bounds, errors = measured["bounds"], measured["errors"]
    about = "\n".join(f"- **{name}**: {text};" for name, text in measured["about"].items())
    parts = [
        "# Several processes against one\n",
        "Generated from `benchmarks/results/parity.json` by `make docs`; do not edit. Each loss "
        f"trained a small student for {measured['steps']} steps in one process and in several "
        "(gloo, on one CPU), over the same global batches:\n",
        f"{about.removesuffix(';')}.\n",
        "**loss** is the largest difference of a term at any step, relative to its size or to 1, "
        "whichever is larger; **weights** the largest of any tensor of the state at the end: "
        "weights, statistics of norms, optimiser, averages, critics and queues. In float64 what "
        "is left would be a difference of definition; in float32 the order of a sum changes its "
        "last digit, and training may multiply that. In the process that is furthest off; bounds "
        f"{bounds['loss']:.0e} and {bounds['weights']:.0e}, beyond them in bold.\n",
    ]
    groups: dict[str, dict[str, dict[str, dict[str, float]]]] = {}
    for row, found in errors.items():
        scenario, precision, world = row.split(", ")
        groups.setdefault(f"{scenario}, {precision}", {})[world] = found["losses"]
    for title, worlds in groups.items():
        head = ["loss", *(f"{world}: {what}" for world in worlds for what in bounds)]
        lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
        for loss in next(iter(worlds.values())):
            cells = [
                f"{by_loss[loss][what]:.0e}"
                if by_loss[loss][what] <= bound
                else f"**{by_loss[loss][what]:.0e}**"
                for by_loss in worlds.values()
                for what, bound in bounds.items()
            ]
            lines.append(f"| {loss} | {' | '.join(cells)} |")
        parts += [f"## {title}\n", "\n".join(lines) + "\n"]
    return "\n".join(parts)


def _overview() -> str:
    lines = [
        "| loss | compares | year | tap | weight | widths | needs | ms | MiB | gradients |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    measured = costs()
    for name, row in LOSSES.items():
        cost = measured.get(name)
        numbers = ("-", "-") if cost is None else (f"{cost['ms']:.0f}", f"{cost['mib']:.0f}")
        cells = [f"[`{name}`](#{name})", row.about, str(row.year), row.tap, f"{row.weight:g}"]
        cells += [row.widths, ", ".join(needs(row)) or "-", *numbers, row.gradients]
        lines.append(f"| {' | '.join(cells)} |")
    lines.append(
        "\nms and MiB: forward and backward on one thread, and memory beyond the inputs, for 2 "
        "images of 64×128 positions with 19 classes (tap logits) or 512 channels, from "
        "`benchmarks/results/loss_costs.json`. The machine was doing other work, so compare them "
        "only with each other. Gradients: whether the loss is differentiable once or twice. "
        "`segdistill check loss NAME` tests the contract that every loss keeps, including "
        "[a loss of your own](your-own-loss.md). Points on which a paper is ambiguous are listed "
        "in [doubtful readings](readings.md)."
    )
    return "\n".join(lines) + "\n"


def _loss(name: str, row: Loss) -> str:
    module, _, attribute = row.target.partition(":")
    source = importlib.import_module(f"segdistill.losses.{module}")
    functions = _functions(source)
    lines = [
        f"## {name}\n",
        f"{row.about} *{row.source}.*\n",
        f"Tap `{row.tap}`, weight {row.weight:g}, projector `{row.project}`"
        + (f", parts `{'`, `'.join(row.parts)}`" if row.parts else "")
        + f". Year {row.year}; code of its authors: {licence_in_words(row)}.\n",
        *([f"Settings:\n\n{_settings(row.settings)}\n"] if row.settings else []),
    ]
    for function in functions:
        lines += [f"`{function.__name__}`:\n"] if len(functions) > 1 else []
        lines.append(as_markdown(function))
    lines.append(f"As a module, `{attribute}`:\n")
    lines.append(as_markdown(getattr(source, attribute)))
    return "\n".join(lines)


def _functions(source: ModuleType) -> list[Callable[..., Any]]:
    """Return the public functions of a loss's file."""
    return [
        value
        for key, value in vars(source).items()
        if key in losses.__all__
        and inspect.isfunction(value)
        and value.__module__ == source.__name__
    ]


def _settings(settings: Mapping[str, Setting]) -> str:
    """Return a list of settings, one per line, with what each takes and does."""
    return "\n".join(f"- `{key}`: {setting.line}" for key, setting in settings.items())


def main() -> None:
    BACKBONES.write_text(backbones_list(), encoding="utf-8")
    RECIPE.write_text(reference(), encoding="utf-8")
    STUDY.write_text(study_reference(), encoding="utf-8")
    SEARCH.write_text(search_reference(), encoding="utf-8")
    LOSSES_PAGE.write_text(losses_page(), encoding="utf-8")
    DATASETS_PAGE.write_text(datasets_page(), encoding="utf-8")
    API_PAGE.write_text(api_page(), encoding="utf-8")
    COMPATIBILITY_PAGE.write_text(compatibility_page(), encoding="utf-8")
    PARITY_PAGE.write_text(parity_page(), encoding="utf-8")


if __name__ == "__main__":
    main()
