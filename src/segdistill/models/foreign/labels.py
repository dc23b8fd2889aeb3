"""Names of the classes of a Hugging Face folder, without its network."""

from __future__ import annotations

from pathlib import Path

from segdistill.json_text import load_json

_FOLDER = "hf:"
_UNNAMED = "LABEL_"


def folder_classes(name: str) -> tuple[str, ...]:
    """Return the names of a network's classes, in the order of its logits.

    Args:
        name: of the network, as a config has it.

    Returns:
        ``id2label`` of an ``hf:`` folder's ``config.json``; none if the network is no such
        folder, or its classes are only numbered.
    """
    if not name.startswith(_FOLDER):
        return ()
    file = Path(name.removeprefix(_FOLDER)) / "config.json"
    try:
        labels = load_json(file.read_text(encoding="utf-8")).get("id2label") or {}
        numbered = sorted((int(number), str(label)) for number, label in labels.items())
    except (OSError, ValueError, AttributeError):  # what is wrong is told when it is built
        return ()
    names = tuple(label for _, label in numbered)
    return () if all(label.startswith(_UNNAMED) for label in names) else names
