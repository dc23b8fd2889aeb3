"""The contents of the files that a config names, identified by their SHA-256."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from segdistill.config import NetworkConfig, RunConfig
from segdistill.config.ensembles import networks_of
from segdistill.data.inspection import spread
from segdistill.data.parts import file_names, read_mask_of
from segdistill.errors import DataError
from segdistill.files import check_ends
from segdistill.models.checkpoints.locating import weight_file
from segdistill.models.checkpoints.reading import shards_of
from segdistill.trust import CODE, PROGRAM
from segdistill.types import SegDataset

MOST_MASKS = 4
"""How many masks of a split are read to know it by."""

_FOLDER = "hf:"
_OF_FOLDER = ("*.safetensors", "config.json", "preprocessor_config.json", "processor_config.json")


def contents_of(config: RunConfig) -> dict[str, str]:
    """Return the SHA-256 of every file that a run's weights depend on, by the key that names it.

    These are weights, folders of networks, compiled programs, and the source file of the module
    of an ``import:`` network, loss or dataset; the modules that it imports are not followed. The
    teacher's files count if something is distilled. A process reads each file only once.

    Raises:
        FileNotFoundError, CheckpointError: a weights file does not exist.
    """
    teacher = config.teacher if config.distill else None
    contents: dict[str, str] = {}
    for role, section in (("teacher", teacher), ("student", config.student)):
        for where, network in (networks_of(section, role) if section else {}).items():
            contents |= {f"{where}.{key}": digest for key, digest in _of_network(network).items()}
    own = {f"distill.{index}.loss": term.loss for index, term in enumerate(config.distill)}
    own["data.dataset"] = config.data.dataset
    for key, name in own.items():
        files = _files_of_name(name) if name.startswith(CODE) else []
        if files:
            contents[key] = _digest(files)
    return contents


def contents_of_split(dataset: SegDataset, section: str = "data") -> dict[str, str]:
    """Return the SHA-256 of the images' names and of a few masks, if they are files.

    Masks are known by the classes of their pixels, so that they may be stored in another way, and
    only :data:`MOST_MASKS` are read, evenly spread. If one of them cannot be read, none counts: a
    run may continue after the file was repaired.

    Args:
        dataset: a split.
        section: section of the config that the keys belong to.
    """
    names = file_names(dataset)
    if names is None:
        return {}
    contents = {f"{section}.images": hashlib.sha256("\n".join(names).encode()).hexdigest()}
    masks = hashlib.sha256()
    try:
        for index in spread(len(dataset), MOST_MASKS):
            mask = read_mask_of(dataset, index)
            if mask is not None:
                masks.update(f"{index} {mask.shape}".encode())
                masks.update(np.ascontiguousarray(mask).data)
    except DataError:
        return contents
    return contents | {f"{section}.masks": masks.hexdigest()}


def _of_network(section: NetworkConfig) -> dict[str, str]:
    contents = {}
    for key in ("weights", "backbone_weights"):
        source = getattr(section, key)
        if source is not None:
            contents[key] = _digest(_with_shards(weight_file(str(source))))
    files = _files_of_name(section.network)
    if files:
        contents["network"] = _digest(files)
    return contents


def _files_of_name(network: str) -> list[Path]:
    """Return the files of a network that is named by a path."""
    if network.startswith(_FOLDER):
        folder = Path(network.removeprefix(_FOLDER))
        return [file for pattern in _OF_FOLDER for file in sorted(folder.glob(pattern))]
    if network.startswith(PROGRAM):
        return [file for file in (Path(network.removeprefix(PROGRAM)),) if file.is_file()]
    if network.startswith(CODE):
        return _source(network.removeprefix(CODE).partition(":")[0])
    return []


def _source(module: str) -> list[Path]:
    """Return the file of a module; problems with it are reported when the network is built."""
    try:
        spec = find_spec(module)
    except (ImportError, ValueError):
        return []
    origin = Path(spec.origin) if spec is not None and spec.origin else None
    return [origin] if origin is not None and origin.is_file() else []


def _with_shards(file: Path) -> list[Path]:
    if not file.name.endswith(".index.json"):
        return [file]
    return [file, *shards_of(file)]


def _digest(files: list[Path]) -> str:
    digests = [_digest_file(file, *_version(file)) for file in files]
    if len(digests) == 1:
        return digests[0]
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def _version(file: Path) -> tuple[int, int]:
    status = file.stat()
    return status.st_size, status.st_mtime_ns


@lru_cache(maxsize=256)
def _digest_file(file: Path, _size: int, _changed: int) -> str:
    check_ends(file)
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
