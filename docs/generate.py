"""Write what is made from the tables: docs/losses.md, docs/datasets.md, reference files, names.

Run it after a change of a table, a docstring or a config section: ``make docs``. A test
compares what it would write with what is there.
"""

from __future__ import annotations

import importlib
import inspect
import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path

from segdistill import config, losses
from segdistill.catalogue import tables
from segdistill.catalogue.backbones import first_line
from segdistill.catalogue.controls import CONTROLS
from segdistill.catalogue.datasets import DATASETS, dataset_settings
from segdistill.catalogue.losses import LOSSES, Loss, costs, licence_in_words, needs
from segdistill.catalogue.settings import Setting, as_yaml
from segdistill.config import rows, studies
from segdistill.data.files.pixels import pixels
from segdistill.data.files.relabel import relabel
from segdistill.models import backbone_names

ROOT = Path(__file__).parents[1]
RECIPE = ROOT / "src" / "segdistill" / "recipes" / "reference.yaml"
BACKBONES = ROOT / "src" / "segdistill" / "catalogue" / "backbones.txt"
STUDY = ROOT / "src" / "segdistill" / "recipes" / "studies" / "reference.yaml"
LOSSES_PAGE = ROOT / "docs" / "losses.md"
DATASETS_PAGE = ROOT / "docs" / "datasets.md"
COMPATIBILITY_PAGE = ROOT / "docs" / "compatibility.md"
COMPATIBILITY = ROOT / "benchmarks" / "results" / "compatibility.json"

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
        lines.append(f"{name}:")
        bullet = "  - " if name == "distill" else "  "
        model = section
        if issubclass(section, config.NamedSection):
            model = rows.row_model(section, given[section.selector])
        for key, setting in rows.section_settings(model).items():
            value = given.get(key, as_yaml(setting.default))
            lines.append(f"{bullet}{key}: {value} # {setting.line}")
            bullet = "    " if name == "distill" else "  "
    return "\n".join(lines) + "\n"


def study_reference() -> str:
    """Return a study file with every key: what it takes, what it does and its default."""
    return (
        "# Every key of a study file: what it takes, what it does and its default.\n"
        "# segdistill study studies/reference --out study --dry-run\n"
        + "\n".join(_section(studies.StudyConfig, _STUDY_VALUES))
        + f"\ncontrols: [] # control arms, one word each: {', '.join(CONTROLS)}\n"
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


def _section(
    section: type[config.Section], given: dict[str, str], indent: str = ""
) -> Iterator[str]:
    for key, setting in rows.section_settings(section).items():
        if isinstance(setting.default, config.Section):
            yield f"{indent}{key}:"
            yield from _section(type(setting.default), {}, f"{indent}  ")
            continue
        value = given.get(key, as_yaml(setting.default))
        yield f"{indent}{key}: {value} # {setting.line}"


def backbones_list() -> str:
    """Return catalogue/backbones.txt: the names that timm knows, for those who do not load it."""
    return "\n".join([first_line(version("timm")), *backbone_names()]) + "\n"


def losses_page() -> str:
    """Return docs/losses.md: every row of ``LOSSES`` with what its docstrings say."""
    parts = [
        "# Losses\n",
        "Made from the table `LOSSES` and the docstrings by `make docs`; do not edit. The house "
        "convention: KL is KL(teacher ‖ student); a loss is a mean over images and valid "
        "positions, channels or pairs; a temperature brings its square; float32 or better "
        "inside. A published weight is right only with its own normalisation: "
        "`segdistill recipes list` has the papers' weights, translated.\n",
        _overview(),
    ]
    for name, row in LOSSES.items():
        parts.append(_loss(name, row))
    return "\n".join(parts)


def datasets_page() -> str:
    """Return docs/datasets.md: every row of ``DATASETS``, and how its reader is tested."""
    parts = [
        "# Datasets\n",
        "Made from the table `DATASETS` by `make docs`; do not edit. `segdistill list datasets "
        "--verbose` prints the same with the names and colours of all classes. No data come with "
        "segdistill and none are downloaded: the licence of each is its owner's. A `data.root` "
        "one level too high or too deep is refused with the right one, for every dataset.\n",
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
        parts.append(f"\n{_docstring(reader)}".rstrip())
    parts.append("\n## Settings that datasets share\n\nHow images become RGB:\n")
    parts.append(_docstring(pixels).rstrip())
    parts.append("\nWhat the labels of masks mean:\n")
    parts.append(_docstring(relabel).rstrip())
    return "\n".join(parts) + "\n"


_STEPS = {
    "check": "maps",
    "train": "a training step",
    "odd size": "an odd size",
    "teacher": "as a teacher",
    "export": "ONNX",
}


def compatibility_page() -> str:
    """Return docs/compatibility.md: what was measured of a network of each family."""
    found = json.loads(COMPATIBILITY.read_text(encoding="utf-8"))
    packages = found["environment"]["packages"]
    parts = [
        "# Compatibility\n",
        "Made from `benchmarks/results/compatibility.json` by `make docs`; do not edit. One "
        "network of each family, with random weights and 5 classes, timm's as the backbone of an "
        f"FCN at the deepest stride that it gives maps of (timm {packages['timm']}, torch "
        f"{packages['torch']}, on a CPU). Any other network is tried in the same way by "
        "`segdistill check`.\n",
        "- **maps**: channels/stride of its last inner map and of its logits for images of "
        "96×128 (192×256 for the networks whose pooling asks for them);\n"
        "- **a training step**: cross-entropy and `pixelwise_kl`, every gradient finite; tensors "
        "that get none are counted;\n"
        "- **an odd size**: classes for images of 95×129, whose sides nothing divides;\n"
        "- **as a teacher**: frozen three times; *rewritten* stands for folded norms and channels "
        "last, *as given* for a network of which that could not be proven, and both give the "
        "network's logits within 0.001;\n"
        "- **ONNX**: the file was run by onnxruntime and compared, at any size or at one; - was "
        "not tried.\n",
        _counted(found["families"]),
    ]
    head = ["family", "network", *_STEPS.values()]
    parts.append("\n".join([f"| {' | '.join(head)} |", "|---" * len(head) + "|"]))
    reasons: list[str] = []
    rows = []
    for name, row in found["families"].items():
        cells = [name, f"`{row['network']}`" if row["network"] else ""]
        for step in _STEPS:
            said = row.get(step, "-")
            if said.startswith("no: "):
                if said[4:] not in reasons:
                    reasons.append(said[4:])
                said = f"no ({reasons.index(said[4:]) + 1})"
            cells.append(said)
        rows.append(f"| {' | '.join(cells)} |")
    parts[-1] += "\n" + "\n".join(rows) + "\n"
    if reasons:
        parts.append("What is said where a step is refused or fails:\n")
        shown = (re.sub(r"\S*/T?tmp\S*/", "", reason) for reason in reasons)
        parts.append("\n".join(f"{place}. {text}" for place, text in enumerate(shown, 1)) + "\n")
    return "\n".join(parts)


def _counted(rows: Mapping[str, Mapping[str, str]]) -> str:
    """Say of how many families each step works."""
    said = []
    for step, words in _STEPS.items():
        tried = [row[step] for row in rows.values() if step in row]
        works = sum(not answer.startswith("no: ") for answer in tried)
        said.append(f"{words} {works} of {len(tried)}")
    return f"Of {len(rows)} families: {', '.join(said)} that were tried.\n"


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
        "\nms and MiB: forward and backward of one thread, memory above the inputs, at 2 images "
        "of 64×128 positions with 19 classes (tap logits) or 512 channels, from "
        "`benchmarks/results/loss_costs.json`: to be compared with each other, measured beside "
        "other work. Gradients: whether the loss can be differentiated once or again. "
        "`segdistill check loss NAME` tries the contract that all of them keep; so does "
        "[a loss of your own](your-own-loss.md). What of a paper could not be settled is listed in "
        "[readings that stay doubtful](readings.md)."
    )
    return "\n".join(lines) + "\n"


def _loss(name: str, row: Loss) -> str:
    module, _, attribute = row.target.partition(":")
    source = importlib.import_module(f"segdistill.losses.{module}")
    functions = [
        each
        for key, each in vars(source).items()
        if key in losses.__all__ and inspect.isfunction(each) and each.__module__ == source.__name__
    ]
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
        lines.append(_docstring(function))
    lines.append(f"As a module, `{attribute}`:\n")
    lines.append(_docstring(getattr(source, attribute)))
    return "\n".join(lines)


def _docstring(thing: object) -> str:
    text = inspect.getdoc(thing) or ""
    text = re.sub(r":(?:func|class|meth):`~?([^`]+)`", r"`\1`", text)
    text = re.sub(r"``([^`]+)``", r"`\1`", text)
    text = re.sub(r":math:`([^`]+)`", r"$\1$", text)
    text = re.sub(r"\.\. math::((?:\n(?:[ \t].*)?|.)*?)(?=\n\n\S|\Z)", _display, text)
    for heading in ("Args", "Shape", "Returns", "Raises", "Source", "Attributes"):
        text = re.sub(
            rf"^{heading}:\n((?:    .*\n?|\n)*)",
            lambda match, heading=heading: f"**{heading}**\n\n{_items(match[1])}\n",
            text,
            flags=re.M,
        )
    return text.strip() + "\n"


def _display(match: re.Match[str]) -> str:
    return f"$${' '.join(match[1].split())}$$"


def _items(block: str) -> str:
    """Turn the lines of an Args or Raises block into a list, prose into a paragraph."""
    lines = textwrap.dedent(block).strip().splitlines()
    items: list[str] = []
    for line in lines:
        if line.startswith(" ") and items:
            items[-1] += f" {line.strip()}"
        else:
            items.append(line.strip())
    if all(re.match(r"[\w, ]+: ", item) for item in items):
        return "\n".join(f"- {item}" for item in items) + "\n"
    return " ".join(items) + "\n"


def _settings(settings: Mapping[str, Setting]) -> str:
    """Return a list of settings, one per line, with what each takes and does."""
    return "\n".join(f"- `{key}`: {setting.line}" for key, setting in settings.items())


def main() -> None:
    BACKBONES.write_text(backbones_list(), encoding="utf-8")
    RECIPE.write_text(reference(), encoding="utf-8")
    STUDY.write_text(study_reference(), encoding="utf-8")
    LOSSES_PAGE.write_text(losses_page(), encoding="utf-8")
    DATASETS_PAGE.write_text(datasets_page(), encoding="utf-8")
    COMPATIBILITY_PAGE.write_text(compatibility_page(), encoding="utf-8")


if __name__ == "__main__":
    main()
