"""Networks of other libraries: are names, folders and files there? Free of torch.

The libraries take seconds to import, so the names are read from their source files.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from segdistill.checks import nearest
from segdistill.config.sections import NetworkConfig
from segdistill.errors import ConfigError
from segdistill.files import expand_path


def check_foreign(section: NetworkConfig, where: str) -> None:
    """Refuse a network of another library that does not exist, before anything is imported.

    Args:
        section: the validated section.
        where: its path in the config, for messages.

    Raises:
        ConfigError: the library, name, folder or file does not exist.
    """
    source, colon, name = section.network.partition(":")
    if not colon:
        return
    if source == "hf" and not (expand_path(name) / "config.json").is_file():
        raise ConfigError(
            f"{where}.network: expected a folder with config.json, got none in {name}; download "
            "the model once with `hf download NAME --local-dir FOLDER`"
        )
    if source == "file" and not expand_path(name).is_file():
        raise ConfigError(f"{where}.network: expected a file, got none at {name}; check the path")
    if source == "smp":
        _check_name(where, name.lower(), smp_names(), "segmentation-models-pytorch", source)
    if source == "torchvision":
        _check_name(where, name, torchvision_names(), "torchvision", source)


_PUBLISHED = ("encoder_weights", "weights", "weights_backbone")
"""Arguments that make a library fetch weights that it publishes."""


def fetch_nothing(network: str, settings: Mapping[str, object]) -> dict[str, object]:
    """Return the settings that build the same network without its library's published weights.

    Use it where a state follows that replaces them all.

    Args:
        network: name of the network.
        settings: settings of its row.
    """
    changed = dict(settings)
    if "pretrained" in changed:
        changed["pretrained"] = False
    args, (library, _, name) = changed.get("args"), network.partition(":")
    if library not in ("smp", "torchvision") or not isinstance(args, Mapping):
        return changed
    kept = {key: None if key in _PUBLISHED else value for key, value in args.items()}
    if library == "torchvision" and args.get("weights") and not name.startswith("lraspp"):
        kept.setdefault("aux_loss", True)  # as torchvision builds what it has weights for
    return changed | {"args": kept}


def _check_name(where: str, name: str, known: tuple[str, ...], library: str, source: str) -> None:
    if not known:
        raise ConfigError(
            f"{where}.network: expected the package {library}, got none; "
            f"pip install 'segdistill[{source}]'"
        )
    if name not in known:
        raise ConfigError(
            f"{where}.network: expected a network of {library}, got '{name}'; "
            f"{nearest(name, known)}"
        )


@cache
def smp_names() -> tuple[str, ...]:
    """Return the architectures of segmentation-models-pytorch; none if it is not installed."""
    tree = _parse("segmentation_models_pytorch", "__init__.py")
    imported = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return tuple(
        alias.name.lower()
        for node in imported
        if (node.module or "").startswith("decoders.")
        for alias in node.names
    )


@cache
def torchvision_names() -> tuple[str, ...]:
    """Return torchvision's segmentation networks, which are the functions it registers."""
    trees = [
        _parse("torchvision", f"models/segmentation/{name}.py")
        for name in ("fcn", "deeplabv3", "lraspp")
    ]
    functions = [
        node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)
    ]
    return tuple(
        function.name
        for function in functions
        if any("register_model" in ast.dump(mark) for mark in function.decorator_list)
    )


def _parse(package: str, file: str) -> ast.Module:
    spec = find_spec(package)
    folders = [] if spec is None else list(spec.submodule_search_locations or ())
    paths = [path for folder in folders if (path := Path(folder) / file).is_file()]
    return ast.parse(paths[0].read_text(encoding="utf-8") if paths else "")
