"""The papers' figures beside ours; as a script it writes docs/networks.md."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path

from segdistill.config.loading import read
from segdistill.delivery.cost import Cost, count, count_as_cirkd
from segdistill.models import build_network

PUBLISHED = Path(__file__).parent / "published_complexity.tsv"
PAGE = Path(__file__).parents[2] / "docs" / "networks.md"


@dataclass(frozen=True, eq=False)
class Row:
    """One line of a paper's table, and the network of ours that it is compared with."""

    source: str
    network: str
    settings: dict[str, object]
    classes: int
    size: tuple[int, int]
    params_m: str
    flops_g: str
    counting: str
    explanation: str

    @cached_property
    def ours(self) -> Cost:
        network = build_network(self.settings, classes=self.classes, seed=0)
        if self.counting == "cirkd":
            return count_as_cirkd(network, self.size)
        return count(network, self.size, auxiliary=self.counting == "with auxiliary")

    def figure(self, cost: Cost) -> float:
        """Return what the paper calls FLOPs: operations in one paper, multiply-adds in two."""
        return cost.gflops if self.counting == "operations" else cost.gmacs


@cache
def rows() -> list[Row]:
    with PUBLISHED.open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [
        Row(
            line["source"],
            line["network"],
            json.loads(line["settings"]),
            int(line["classes"]),
            tuple(map(int, line["size"].split("x"))),
            line["params_m"],
            line["flops_g"],
            line["counting"],
            line["explanation"],
        )
        for line in lines
    ]


SKD_PAIR = ("SKD, Table 3: PSPNet, ResNet-101", "SKD, Table 3: PSPNet, ResNet-18")
CIRKD_PAIR = ("CIRKD, Table 1: DeepLabV3, ResNet-101", "CIRKD, Table 1: DeepLabV3, ResNet-18")
KA_PAIR = (
    "knowledge adaptation, Table 1: DeepLabV3+, ResNet-50",
    "knowledge adaptation, Table 1: reduced DeepLabV3, MobileNetV2",
)
NIEMANN_PAIR = ("SKD, Table 3: PSPNet, ResNet-101", "Niemann et al. count no network")
ANGULAR_PAIR = ("the angular paper counts no network", "the angular paper counts no network")
UPERNET_PAIR = ("Table 6 of the angular paper counts no network",) * 2

RECIPES: dict[str, tuple[str, str]] = {
    **dict.fromkeys(("skd", "local", "mimic", "at", "ifvd", "cwd"), SKD_PAIR),
    "skd_espnet": (SKD_PAIR[0], "SKD, Table 3: ESPNet-C"),
    **dict.fromkeys(("cirkd", "kd", "dist", "dkd"), CIRKD_PAIR),
    **dict.fromkeys(("skd_cirkd", "ifvd_cirkd", "cwd_cirkd"), CIRKD_PAIR),
    # Methods of other papers, on the networks of one.
    **dict.fromkeys(("dsd", "idd", "fakd", "sstkd", "apd", "csc_ace", "cirkdv2"), CIRKD_PAIR),
    **dict.fromkeys(("bpkd", "af_dcd", "gdkd", "cankd", "maskd", "standardized_kd"), CIRKD_PAIR),
    **dict.fromkeys(("freekd", "diffkd"), CIRKD_PAIR),
    **dict.fromkeys(("ka", "ka_affinity", "ka_coco"), KA_PAIR),
    **dict.fromkeys(("tuned_kd", "ifvd_niemann", "pairwise_niemann"), NIEMANN_PAIR),
    "holistic_niemann": NIEMANN_PAIR,
    **dict.fromkeys(("lad", "cad", "pad", "fitnet", "mgd", "cwd_angular"), ANGULAR_PAIR),
    **dict.fromkeys(("skd_angular", "ifvd_angular"), ANGULAR_PAIR),
    "lad_upernet": UPERNET_PAIR,
}
"""The published teacher and student of each recipe of ``papers/``, as source and network."""


def recipe_row(settings: dict[str, object], published: str) -> Row | None:
    """Return the row that a recipe's network is held against, counted as that network.

    Args:
        settings: of the recipe's teacher or student.
        published: source and network of the row.

    Returns:
        The row with the recipe's settings, or None where nothing was published.
    """
    named = [row for row in rows() if f"{row.source}: {row.network}" == published]
    if not named:
        return None
    own = {key: value for key, value in settings.items() if key not in _NOT_COUNTED}
    for row in named:
        if row.settings.get("output_stride") == own.get("output_stride"):
            return _counted(json.dumps(own), row)
    # KA's teacher has stride 8; the figure that the paper prints belongs to stride 16 (note 1).
    return _counted(json.dumps({**own, "output_stride": 16}), named[0])


_NOT_COUNTED = ("weights", "pretrained", "taps")


@cache
def _counted(settings: str, row: Row) -> Row:
    return replace(row, settings=json.loads(settings))


def close(ours: float, printed: str) -> bool:
    """Whether a figure is within 1 %, or within the printed one's last digit, if it is printed."""
    if printed == "-":
        return True
    decimals = len(printed.partition(".")[2])
    return abs(ours - float(printed)) <= max(0.01 * float(printed), 0.5 * 10**-decimals + 1e-9)


HEAD = """\
# Networks, counted

What segdistill builds for the networks of the five papers, for decoders that use shallow maps
and for real-time networks, beside what their papers print (- where they print nothing).
`segdistill list networks` and `segdistill list backbones` name everything that a config can
ask for.

Papers do not count alike. The column *counting* says how the figure of its row was made:

- *operations*: two for each multiply-add (`gflops` of `segdistill bench cost`), without the
  auxiliary head, which does not run in evaluation;
- *multiply-adds*: the paper calls them FLOPs (`gmacs`);
- *with auxiliary*: multiply-adds and parameters with the auxiliary head;
- *cirkd*: multiply-adds of the convolutions, with the auxiliary head where there is one, and
  the output size of a dilated convolution computed without its dilation, as the authors of
  CIRKD counted (`segdistill bench cost --counter cirkd`).

STDC's and PP-LiteSeg's papers count no segmentation network; the backbone that they share is
within 1 % of what STDC's prints for ImageNet (8.44 M and 0.813 G, 12.47 M and 1.446 G
multiply-adds). `benchmarks/results/latency_students.json` has the parameters, multiply-adds and
milliseconds of the real-time networks at 360×480, in eager PyTorch and as ONNX in float and INT8.

A row is within 1 % of the paper, or a note says which choice explains the rest. The page is
written by `python -m tests.models.published` and a test keeps it in step.

| source | network | settings | size | counting | M parameters, ours | paper | G, ours | paper | |
|---|---|---|---|---|---:|---:|---:|---:|---|
"""


def page() -> str:
    """Return docs/networks.md."""
    lines, notes = [], []
    for row in rows():
        cost, mark = row.ours, ""
        if row.explanation:
            if row.explanation not in notes:
                notes.append(row.explanation)
            mark = f"note {notes.index(row.explanation) + 1}"
        settings = " ".join(f"{key}={value}" for key, value in row.settings.items())
        cells = (
            row.source,
            row.network,
            f"`{settings}`",
            "×".join(map(str, row.size)),
            row.counting,
            f"{cost.params_m:.4g}",
            row.params_m,
            f"{row.figure(cost):.5g}",
            row.flops_g,
            mark,
        )
        lines.append(f"| {' | '.join(cells)} |")
    remarks = [f"{number}. {note}" for number, note in enumerate(notes, start=1)]
    return "\n".join([HEAD + "\n".join(lines), "", *remarks, "", RECIPES_HEAD + _recipes(notes)])


RECIPES_HEAD = """\
## The recipes' networks

What `segdistill distill papers/...` builds, counted as the paper counts, beside what it prints;
[papers.md](papers.md) has the commands of every table.

| recipes | part | network | M parameters, ours | paper | G, ours | paper | |
|---|---|---|---:|---:|---:|---:|---|
"""


def _recipes(notes: list[str]) -> str:
    lines = []
    for pair in dict.fromkeys(RECIPES.values()):
        names = [name for name, other in RECIPES.items() if other == pair]
        tree = read(f"papers/{names[0]}")
        for part, published in zip(("teacher", "student"), pair, strict=True):
            row = recipe_row(tree[part], published)
            cells = [", ".join(f"`{name}`" for name in names), part]
            if row is None:
                cells += [f"{tree[part]['network']}, {tree[part]['backbone']}", *"----", published]
            else:
                note = f"note {notes.index(row.explanation) + 1}" if row.explanation else ""
                figures = f"{row.ours.params_m:.4g}", f"{row.figure(row.ours):.5g}"
                cells += [published, figures[0], row.params_m, figures[1], row.flops_g, note]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
