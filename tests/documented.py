"""What the pages of the docs tell readers to type: their blocks and their inline commands."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "benchmarks" / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", re.M | re.S)


@dataclass(frozen=True)
class Typed:
    """A command of a page.

    Attributes:
        page: name of the page.
        words: what is typed, without variables, comments and redirections.
        inline: it stands in a sentence, where arguments may be left out.
    """

    page: str
    words: tuple[str, ...]
    inline: bool

    def __str__(self) -> str:
        return f"{self.page}: {shlex.join(self.words)}"


def blocks(page: Path, language: str) -> list[str]:
    """Return the blocks of a language, without the indentation of lists."""
    text = page.read_text(encoding="utf-8")
    return [
        re.sub(rf"^{indent}", "", body, flags=re.M)
        for indent, of, body in BLOCK.findall(text)
        if of == language
    ]


def typed(page: Path, program: str) -> list[Typed]:
    """Return the commands of a page that start with a program's name, in order of appearance.

    Lines that begin with ``$`` are left out: they show a session, often a mistake and its answer.
    """
    lines = [
        line for block in blocks(page, "") for line in re.sub(r"\\\n\s*", "", block).splitlines()
    ]
    sentences = " ".join(BLOCK.sub("", page.read_text(encoding="utf-8")).split())
    found = []
    for inline, texts in ((False, lines), (True, re.findall(r"`([^`]+)`", sentences))):
        for text in texts:
            if re.match(rf"(?:PYTHONPATH=\. )?{program} ", text):
                words = shlex.split(text.removeprefix("PYTHONPATH=. "), comments=True)
                found.append(Typed(page.name, tuple(_before(words, ">")), inline))
    return found


def _before(words: list[str], end: str) -> list[str]:
    return words[: words.index(end)] if end in words else words
