"""Picture files embedded in the page, byte for byte."""

from __future__ import annotations

import base64
from pathlib import Path

from markupsafe import Markup

_MEDIA = {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".webp": "image/webp"}


def data_uri(file: Path) -> Markup:
    """Return a picture file as a ``data:`` URI."""
    coded = base64.b64encode(file.read_bytes()).decode("ascii")
    return Markup(f"data:{_MEDIA[file.suffix.lower()]};base64,{coded}")
