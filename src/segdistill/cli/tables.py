"""Tables on stdout: drawn by rich on a terminal, otherwise plain columns."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under a header; the first column is text, the others are numbers.

    Args:
        header: names of the columns.
        rows: cells, as many as there are columns.
    """
    if not sys.stdout.isatty():
        print(plain_table(header, rows))
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for index, name in enumerate(header):
        table.add_column(Text(name), justify="right" if index else "left", overflow="fold")
    for cells in rows:
        table.add_row(*map(Text, cells))  # as text, so that [/] in a name is not markup
    Console().print(table)


def print_list(lines: Mapping[str, str]) -> None:
    """Print names with their descriptions, which are wrapped on a terminal."""
    if not sys.stdout.isatty():
        width = max(map(len, lines))
        for name, about in lines.items():
            print(f"{name.ljust(width)}  {about}".rstrip())
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    for name, about in lines.items():
        table.add_row(Text(name, style="bold"), Text(about))
    Console().print(table)


def plain_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return columns of equal width with a rule under the header.

    Args:
        header: names of the columns.
        rows: cells, as many as there are columns.
    """
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = []
    for cells in (header, *rows):
        first, *others = (
            cell.rjust(width) if index else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        lines.append("  ".join([first, *others]).rstrip())
    lines.insert(1, "-" * (sum(widths) + 2 * (len(widths) - 1)))
    return "\n".join(lines)
