"""JSON that cannot nest without end."""

from __future__ import annotations

import json
from typing import Any

MOST_LEVELS = 100
"""Lists and objects within each other; a config has at most 40."""

_TOO_DEEP = f"lists and objects nested in more than {MOST_LEVELS} levels"


def load_json(text: str | bytes) -> Any:
    """Parse one JSON document.

    Raises:
        ValueError: it is no JSON, or nested so deep that what walks through it could not; one
            line, which says what the text is.
    """
    try:
        tree = json.loads(text)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    level = [tree] if isinstance(tree, dict | list) else []
    for _ in range(MOST_LEVELS):
        level = [
            value
            for each in level
            for value in (each.values() if isinstance(each, dict) else each)
            if isinstance(value, dict | list)
        ]
        if not level:
            return tree
    raise ValueError(_TOO_DEEP)
