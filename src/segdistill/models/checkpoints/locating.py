"""Where a file of weights is: a path, a Hugging Face folder, an installed package."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from segdistill.errors import CheckpointError

PACKAGE = "package:"
_SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".ckpt", ".tar", ".th")
_IN_FOLDER = ("model.safetensors", "model.safetensors.index.json")


def weight_file(source: str | Path) -> Path:
    """Return the file that a config's ``weights`` or ``backbone_weights`` names.

    Args:
        source: a file, a folder as Hugging Face saves them, or ``package:NAME``, an installed
            Python package that contains one file of weights (``package:NAME/PART`` where it
            contains several). No code of the package is run.

    Raises:
        FileNotFoundError: there is no such file, folder or package.
        CheckpointError: the folder or package contains none, or several.
    """
    if str(source).startswith(PACKAGE):
        return _in_package(str(source).removeprefix(PACKAGE))
    path = Path(source)
    if path.is_dir():
        for name in _IN_FOLDER:
            if (path / name).is_file():
                return path / name
        raise CheckpointError(
            f"{path}: expected a file of weights, got a folder without {' or '.join(_IN_FOLDER)}; "
            "name the file"
        )
    if not path.is_file():
        raise FileNotFoundError(
            f"weights: expected a file at {path}, got none; check the path, or train the network "
            "first"
        )
    return path


def _in_package(name: str) -> Path:
    name, _, part = name.partition("/")
    try:
        distribution = metadata.distribution(name)
    except (metadata.PackageNotFoundError, ValueError) as error:
        raise FileNotFoundError(
            f"weights: expected an installed package {name}, got none; pip install {name}"
        ) from error
    files = [
        file
        for file in distribution.files or ()
        if file.suffix.lower() in _SUFFIXES and part in str(file)
    ]
    if len(files) != 1:
        shown = ", ".join(map(str, files[:5])) or "none"
        raise CheckpointError(
            f"weights: expected one file of weights in the package {name}, got {shown}; name a "
            f"part of the file's path, package:{name}/PART, or the file itself"
        )
    return Path(str(distribution.locate_file(files[0])))
