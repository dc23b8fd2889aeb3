"""Opening the cache of a teacher's maps: its key, size and limit."""

from __future__ import annotations

import hashlib
import json
import shutil

from lightning_fabric import Fabric

from segdistill.config import RunConfig
from segdistill.config.identity import identity_of_maps
from segdistill.errors import ConfigError
from segdistill.models.frozen import FrozenTeacher
from segdistill.training.build import Data
from segdistill.training.cohort import teach, to_float
from segdistill.training.contents import contents_of, contents_of_split
from segdistill.training.devices import describe_machine
from segdistill.training.events import Note, Tell
from segdistill.training.teacher_cache import TeacherCache

_GIB = 2**30


def open_cache(
    config: RunConfig, teacher: FrozenTeacher | None, data: Data, fabric: Fabric, tell: Tell
) -> TeacherCache | None:
    """Return the cache of the teacher's maps, or None if the config has none; write nothing.

    The key is a hash of the teacher (weights, settings, code), the batches (recipe, seed, names
    of the images, number of processes and parts), the precision, and the versions of packages.

    Args:
        config: config of any learner of the cohort.
        teacher: the teacher, ready to run.
        data: the data to train on.
        fabric: device, precision and processes.
        tell: called with the size.

    Raises:
        ConfigError: it is no folder, or the maps would exceed ``teacher.cache_limit`` or the free
            disk space.
    """
    section = config.teacher
    if teacher is None or section is None or section.cache is None:
        return None
    if section.cache.exists() and not section.cache.is_dir():
        raise ConfigError(f"teacher.cache: expected a folder, got the file {section.cache}")
    image = fabric.to_device(data.stream.batch(0).images[:1])
    maps = teach(teacher, to_float(image), fabric)
    about = {
        "settings": identity_of_maps(config),
        "contents": {
            name: sha
            for name, sha in contents_of(config).items()
            if name.startswith(("teacher.", "data."))
        },
        "weights": teacher.digest,
        "images": contents_of_split(data.train),
        "processes": fabric.world_size,
        "packages": dict(describe_machine().packages),
    }
    key = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]
    folder = section.cache / key
    batches = config.training.steps
    whole = 2 * sum(values.numel() for values in maps.values()) * config.data.batch_size * batches
    there = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    size = f"{_size(whole)} for {batches} batches of {' and '.join(maps)}"
    if whole > section.cache_limit * _GIB:
        raise ConfigError(
            f"teacher.cache: expected at most {section.cache_limit:g} GiB, got {size}; raise "
            "teacher.cache_limit, distil at a tap of smaller maps, or leave teacher.cache out"
        )
    above = next(parent for parent in folder.absolute().parents if parent.exists())
    free = shutil.disk_usage(above).free
    if whole - there > free:
        raise ConfigError(
            f"teacher.cache: expected room for {size}, got {_size(free)} free; choose "
            "another disk, or leave teacher.cache out"
        )
    tell(Note(f"teacher.cache: {size} in {folder}, {_size(there)} of it written so far"))
    return TeacherCache(folder, key, teacher.taps, fabric.device)


def _size(amount: int) -> str:
    return f"{amount / _GIB:.1f} GiB" if amount >= _GIB else f"{amount / 2**20:.1f} MiB"
