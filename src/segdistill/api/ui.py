"""The page that shows one image and what several models make of it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Collection, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from segdistill.api.load import Student, load
from segdistill.api.prediction import segment
from segdistill.config import EvaluationConfig
from segdistill.errors import ConfigError
from segdistill.types import Classes

LOCAL = "127.0.0.1"


def ui(
    models: str | Path | Sequence[str | Path],
    *,
    host: str = LOCAL,
    port: int = 8765,
    most_mib: float = 32.0,
    most_megapixels: float = 24.0,
    trust: Collection[str] = (),
    begun: Callable[[str], None] = lambda _address: None,
) -> None:
    """Serve a page to drop an image on, with what each model predicts, until Ctrl-C.

    Nothing is written: images stay in memory, the last two of them.

    Example::

        segdistill.ui(["runs/teacher", "runs/students/kl"], begun=print)

    Args:
        models: run folders, safetensors files that runs wrote, and exported files; teacher,
            plain and distilled student, say. All have the same classes, in any order.
        host: address to listen at; at another than this machine's own everybody who reaches it
            can use the page.
        port: to listen at; 0 for any that is free.
        most_mib: largest file that is taken.
        most_megapixels: largest image that is taken.
        trust: ``import:`` and ``file:`` targets that files may name.
        begun: called with the page's address.

    Raises:
        ConfigError: a package is missing, models have different classes, or the port is taken.
        RunFolderError: a folder holds no finished run.
    """
    missing = [name for name in ("starlette", "uvicorn") if find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"ui: expected the packages starlette and uvicorn, got no {', '.join(missing)}; "
            "pip install 'segdistill[ui]'"
        )
    paths = [Path(each) for each in ([models] if isinstance(models, str | Path) else models)]
    loaded = {path: load(path, trust=trust) for path in dict.fromkeys(paths)}
    classes = common_classes({str(path): student.classes for path, student in loaded.items()})
    from segdistill.serving.page import Limits, Model, build_page
    from segdistill.serving.server import serve

    page = build_page(
        [
            Model(name, partial(_segment, student, classes))
            for name, student in zip(_short_names(list(loaded)), loaded.values(), strict=True)
        ],
        classes,
        hosts=[LOCAL, "localhost", host] if host != "0.0.0.0" else ["*"],
        limits=Limits(most_mib, most_megapixels),
    )
    try:
        listening = socket.create_server((host, port))
    except OSError as error:
        raise ConfigError(
            f"ui: expected a free port at {host}, got {port}: {error.strerror or error}; choose "
            "another --port"
        ) from None
    with listening:
        serve(page, listening, lambda: begun(f"http://{host}:{listening.getsockname()[1]}"))


def common_classes(classes: dict[str, Classes]) -> Classes:
    """Return the classes that all models have, as the first orders and colours them.

    Raises:
        ConfigError: some model has others; it says which.
    """
    first, *others = classes
    for other in others:
        own, known = set(classes[other].names), set(classes[first].names)
        if own != known or len(classes[other]) != len(classes[first]):
            only = sorted(own ^ known)
            raise ConfigError(
                f"ui: expected models of the same classes, got {first} with {len(known)} and "
                f"{other} with {len(own)}, of which {', '.join(only[:5])} "
                f"{'is' if len(only) == 1 else 'are'} in one alone; show them on two pages"
            )
    return classes[first]


def _segment(student: Student, classes: Classes, image: np.ndarray) -> np.ndarray:
    """Return the ids of an image, in the page's order of classes."""
    settings = EvaluationConfig() if student.config is None else student.config.evaluation
    ids = segment(student.network, image, settings)
    order = np.array([classes.names.index(name) for name in student.classes.names], np.uint8)
    in_order: np.ndarray = order[ids]
    return in_order


def _short_names(paths: Sequence[Path]) -> list[str]:
    """Return the last parts of paths that tell them apart."""
    for parts in range(1, max(len(path.parts) for path in paths) + 1):
        names = ["/".join(path.parts[-parts:]) for path in paths]
        if len(set(names)) == len(names):
            return names
    return [str(path) for path in paths]
