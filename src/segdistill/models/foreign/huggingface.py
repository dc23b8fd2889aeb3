"""Networks of a Hugging Face folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import nn

from segdistill.classes import ClassMap
from segdistill.errors import ConfigError
from segdistill.models.foreign.adapter import Adapter
from segdistill.models.foreign.sources import library
from segdistill.models.inputs import IMAGENET_MEAN, IMAGENET_STD


def from_huggingface(
    name: str,
    classes: int,
    pretrained: bool = True,
    output: str | None = None,
    mean: tuple[float, float, float] | None = None,
    std: tuple[float, float, float] | None = None,
    divisor: int = 1,
    class_map: ClassMap | None = None,
) -> Adapter:
    """Return the network of a Hugging Face folder on this machine; see :class:`Adapter`.

    Nothing is downloaded and no code of the folder is run; weights are safetensors.

    Args:
        name: the folder, with ``config.json``.
        classes: number of classes.
        pretrained: load its weights; False builds it anew with ``classes`` classes.
        output: see :class:`Adapter`.
        mean: see :class:`Adapter`; None takes it from ``preprocessor_config.json``, or
            ImageNet's where there is none.
        std: see :class:`Adapter`; None takes it from the same file.
        divisor: see :class:`Adapter`.
        class_map: see :class:`Adapter`.

    Raises:
        ConfigError: transformers is not installed, or the folder holds no such network.
        ValueError: the folder's network has other classes.
    """
    transformers = library("transformers", "transformers", f"hf:{name}")
    folder = Path(name)
    if not (folder / "config.json").is_file():
        raise ConfigError(
            f"network hf:{name}: expected a folder with config.json, got none; download the "
            "model once with `hf download NAME --local-dir FOLDER`"
        )
    auto = transformers.AutoModelForSemanticSegmentation
    try:
        if pretrained:
            with _without_bars(transformers.utils.logging):
                network = auto.from_pretrained(
                    folder, local_files_only=True, use_safetensors=True, trust_remote_code=False
                )
        else:
            config = transformers.AutoConfig.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False
            )
            if class_map is None:
                config.num_labels = classes
            network = auto.from_config(config)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"network hf:{name}: expected a semantic-segmentation network in safetensors, got: "
            f"{error}"
        ) from error
    labels = int(network.config.num_labels)
    if class_map is None and labels != classes:
        raise ValueError(
            f"network hf:{name}: expected {classes} classes, got a network of {labels} "
            f"({', '.join(list(network.config.id2label.values())[:5])}, ...); name its class for "
            "each of ours in class_map, or set pretrained=false"
        )
    found = _normalisation(folder) if mean is None or std is None else (mean, std)
    return Adapter(
        network,
        classes,
        output=output,
        mean=found[0],
        std=found[1],
        divisor=divisor,
        class_map=class_map,
        taps=_huggingface_taps(network),
    )


@contextmanager
def _without_bars(logging: Any) -> Iterator[None]:
    """Keep the library's progress bars off the terminal."""
    before = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if before:
            logging.enable_progress_bar()


def _normalisation(folder: Path) -> tuple[tuple[float, ...], tuple[float, ...]]:
    file = folder / "preprocessor_config.json"
    found = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return (
        tuple(found.get("image_mean", IMAGENET_MEAN)),
        tuple(found.get("image_std", IMAGENET_STD)),
    )


def _huggingface_taps(network: nn.Module) -> dict[str, str]:
    """Return the usual places of the two inner taps, where the network has them."""
    paths = dict(network.named_modules())
    places = {
        "backbone": ("backbone", str(getattr(network, "base_model_prefix", ""))),
        "head": ("decode_head.dropout",),
    }
    return {
        name: path
        for name, candidates in places.items()
        for path in [next((each for each in candidates if each and each in paths), "")]
        if path
    }
