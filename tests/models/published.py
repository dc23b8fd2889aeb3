"""The papers' figures beside ours; as a script it writes docs/networks.md."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from segdistill.delivery.cost import Cost, count, count_as_cirkd
from segdistill.models import build_network

PUBLISHED = Path(__file__).parent / "published_complexity.tsv"
PAGE = Path(__file__).parents[2] / "docs" / "networks.md"


@dataclass(frozen=True)
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


def close(ours: float, printed: str) -> bool:
    """Whether a figure is within 1 %, or within the printed one's last digit."""
    decimals = len(printed.partition(".")[2])
    return abs(ours - float(printed)) <= max(0.01 * float(printed), 0.5 * 10**-decimals + 1e-9)


HEAD = """\
# Networks, counted

What segdistill builds for the networks of the five papers, beside what the papers print.
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
    return HEAD + "\n".join(lines) + "\n\n" + "\n".join(remarks) + "\n"


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
