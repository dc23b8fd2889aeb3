"""Build the site of the pages, ``build/site``; ``make docs`` runs this.

The pages are written for a code host: they link to each other and to files of the repository by
relative paths. They are copied in the repository's layout with every file that they link to, so
that the same links work on the site. Equations become MathML, and nothing is loaded from elsewhere.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
OUTSIDE = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "benchmarks/README.md")
STYLE = "docs/site.css"


def pages() -> list[Path]:
    """Return the pages of the site: those in docs/, those outside it, and what these link to."""
    found = [*(ROOT / name for name in OUTSIDE), *sorted((ROOT / "docs").glob("*.md"))]
    for page in found:  # grows while it is read
        found += [file for file in linked(page) if file.suffix == ".md" and file not in found]
    return found


def linked(page: Path) -> Iterator[Path]:
    """Yield the files of the repository that a page links to."""
    text = re.sub(r"^( *)```.*?^\1```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        if "://" not in link:
            yield Path(os.path.normpath(page.parent / link))


def build(folder: Path) -> Path:
    """Build the site in a folder and return its first page.

    Raises:
        SystemExit: a link or an anchor leads nowhere, or an equation cannot be converted.
    """
    for part in ("pages", "site"):
        shutil.rmtree(folder / part, ignore_errors=True)
    for page in pages():
        for file in (page, ROOT / STYLE, *linked(page)):
            copy = folder / "pages" / file.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
    shutil.copyfile(ROOT / "docs" / "zensical.toml", folder / "zensical.toml")
    command = [sys.executable, "-m", "zensical", "build", "--clean", "--strict"]
    path = os.pathsep.join([str(ROOT / "docs"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(command, cwd=folder, env={**os.environ, "PYTHONPATH": path}, check=False)
    if done.returncode:
        raise SystemExit(done.returncode)
    return folder / "site" / "index.html"


if __name__ == "__main__":
    (ROOT / "build").mkdir(exist_ok=True)
    print(f"open {build(ROOT / 'build')}")
