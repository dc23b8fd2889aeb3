"""Networks of a Hugging Face folder."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from segdistill.errors import ConfigError, is_of_machine
from segdistill.json_text import load_json
from segdistill.models.foreign.adaptation import Adaptation, Rgb
from segdistill.models.foreign.adapter import Adapter
from segdistill.models.foreign.sources import library
from segdistill.models.inputs import IMAGENET_MEAN, IMAGENET_STD
from segdistill.models.padding import needed_divisor

_PROCESSORS = ("preprocessor_config.json", "processor_config.json")
_OLDER = "pytorch_model.bin"
_CODE = {"_attn_implementation", "attn_implementation"}
"""Keys whose value may name code on the Hub."""

_MASKS = ("eomt", "eomt_dinov3", "mask2former", "maskformer")
"""Networks that classify masks and take images only, which excludes OneFormer."""


def from_huggingface(
    name: str,
    classes: int,
    adaptation: Adaptation,
    pretrained: bool = True,
    new_head: bool = False,
) -> Adapter:
    """Return the network of a Hugging Face folder on this machine; see :class:`Adapter`.

    Nothing is downloaded and no code of the folder is run; weights are safetensors. Of a
    network that classifies masks (MaskFormer, Mask2Former, EoMT) the logits are per pixel;
    see :func:`segdistill.models.foreign.outputs.classify_masks`.

    Args:
        name: the folder, with ``config.json``.
        classes: number of classes.
        adaptation: how it is fed. Without a mean it is fed as the folder's image processor
            does, and with ImageNet's normalisation if there is none; without a divisor, by
            trying which sizes it takes.
        pretrained: load its weights; False builds it anew with ``classes`` classes.
        new_head: draw anew what the folder lacks or has for another number of classes.

    Raises:
        ConfigError: transformers is not installed, or the folder contains no such network.
        ValueError: the folder's network has other classes, or lacks weights.
    """
    transformers = library("transformers", "transformers", f"hf:{name}")
    folder = Path(name)
    if not (folder / "config.json").is_file():
        raise ConfigError(
            f"network hf:{name}: expected a folder with config.json, got none; download the "
            "model once with `hf download NAME --local-dir FOLDER`"
        )
    _check_holds_all(name, folder / "config.json")
    anew = new_head or not pretrained
    with _answering(name, folder), _offline():
        config = transformers.AutoConfig.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
        if anew and adaptation.class_map is None:
            config.num_labels = classes
    auto = _auto(transformers, config, name)
    _check_classes(name, config, classes, adaptation)
    info: Any = None
    with (
        _answering(name, folder),
        _offline(),
        _without_bars(transformers.utils.logging),
    ):
        if not pretrained:
            network = auto.from_config(config)
        else:
            network, info = auto.from_pretrained(
                folder,
                config=config,
                ignore_mismatched_sizes=new_head,
                output_loading_info=True,
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=False,
            )
    if info is not None:
        _check_loaded(name, network, info, new_head)
    if adaptation.mean is None:
        adaptation = _as_processed(transformers, folder, adaptation)
    if adaptation.divisor is None:
        adaptation = _as_it_fits(network, adaptation)
    return Adapter(
        network,
        classes,
        adaptation,
        taps=_huggingface_taps(network),
    )


def _check_holds_all(name: str, file: Path) -> None:
    """Refuse a folder whose config sends the library elsewhere for weights or code.

    Raises:
        ConfigError: it does, or is not JSON.
    """
    who = f"network hf:{name}"
    try:
        tree = load_json(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{who}: expected JSON in config.json, got {error}") from None
    if not isinstance(tree, dict):
        raise ConfigError(f"{who}: expected an object in config.json, got {type(tree).__name__}")
    for part in _objects(tree):
        backbone = part.get("backbone")
        of_timm = part.get("use_timm_backbone") or part.get("model_type") == "timm_backbone"
        here = isinstance(backbone, str) and (
            Path(backbone).is_dir() or (of_timm and re.fullmatch(r"[\w.-]+", backbone))
        )
        if isinstance(backbone, str) and not here:
            raise ConfigError(
                f"{who}: expected a folder with the whole network, got the backbone {backbone!r} "
                "of another place in config.json; nothing is downloaded: write its config there "
                "as backbone_config"
            )
        if part.get("use_pretrained_backbone"):
            raise ConfigError(
                f"{who}: expected a folder with the whole network, got use_pretrained_backbone in "
                "config.json; nothing is downloaded: set it to false"
            )
        for key in _CODE & part.keys():
            if "/" in str(part[key]):
                raise ConfigError(
                    f"{who}: expected attention of transformers, got {key} {str(part[key])!r} in "
                    "config.json, code of another place; remove it"
                )


def _objects(tree: object) -> Iterator[dict[str, Any]]:
    """Yield every object of a JSON tree."""
    if isinstance(tree, dict):
        yield tree
    values = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    for value in values:
        yield from _objects(value)


@contextmanager
def _answering(name: str, folder: Path) -> Iterator[None]:
    """Report whatever the library raises at a folder as its answer."""
    try:
        yield
    except Exception as error:  # it validates little: a wrong value ends in any exception
        if is_of_machine(error):
            raise
        older = folder / _OLDER
        advice = f"; set pretrained=false and weights={older}" if older.is_file() else ""
        raise ConfigError(
            f"network hf:{name}: expected a semantic-segmentation network in safetensors, "
            f"transformers answers: {_first_line(error)}{advice}"
        ) from error


def _first_line(error: Exception) -> str:
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    said = isinstance(error, OSError | ValueError | ImportError | RuntimeError) and line
    return line if said else f"{type(error).__name__}: {line}".removesuffix(": ")


@contextmanager
def _offline() -> Iterator[None]:
    """Refuse every request to the Hub inside the block."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _auto(transformers: Any, config: Any, name: str) -> Any:
    """Return the class of transformers that builds what a config describes."""
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_SEMANTIC_SEGMENTATION_MAPPING_NAMES as PER_PIXEL,
    )

    if config.model_type in PER_PIXEL:
        return transformers.AutoModelForSemanticSegmentation
    if config.model_type in _MASKS:
        return transformers.AutoModelForUniversalSegmentation
    raise ConfigError(
        f"network hf:{name}: expected a semantic-segmentation network, got one of the kind "
        f"{config.model_type}; choose one of {', '.join(sorted([*PER_PIXEL, *_MASKS]))}"
    )


def _check_classes(name: str, config: Any, classes: int, adaptation: Adaptation) -> None:
    labels = int(config.num_labels)
    one_for_two = labels == 1 and classes == 2
    if adaptation.class_map is not None or adaptation.output_is == "features" or one_for_two:
        return
    if labels != classes:
        first = ", ".join(str(label) for label in list(config.id2label.values())[:5])
        raise ValueError(
            f"network hf:{name}: expected {classes} classes, got a network of {labels} "
            f"({first}, ...); name its class for each of ours in class_map, or, to fine-tune it, "
            "set new_head=true"
        )


def _check_loaded(name: str, network: nn.Module, info: Any, new_head: bool) -> None:
    """Refuse a network that is not wholly the folder's: what it lacks is random."""
    mismatched = [str(entry[0]) for entry in info["mismatched_keys"]]
    random = sorted([*info["missing_keys"], *mismatched])
    base = str(getattr(network, "base_model_prefix", ""))
    if new_head:
        random = [key for key in random if base and key.startswith(f"{base}.")]
    if random:
        shown = f"{', '.join(random[:3])}{', ...' if len(random) > 3 else ''}"
        answer = (
            "it is not the folder's network; choose another"
            if new_head
            else "choose a folder of a segmentation network, or, to train a new head on it, set "
            "new_head=true"
        )
        raise ValueError(
            f"network hf:{name}: expected weights for all of {type(network).__name__}, got none "
            f"for {len(random)} tensors ({shown}), which would be random; {answer}"
        )


def _as_it_fits(network: nn.Module, adaptation: Adaptation) -> Adaptation:
    """Return the adaptation that pads as little as the network needs; DPT needs squares."""
    divisor = None if adaptation.square else needed_divisor(network)
    if divisor is not None:
        return replace(adaptation, divisor=divisor)
    divisor = needed_divisor(network, square=True)
    square = adaptation.square or divisor is not None
    return replace(adaptation, divisor=divisor or 1, square=square)


def _as_processed(transformers: Any, folder: Path, adaptation: Adaptation) -> Adaptation:
    """Return the adaptation that feeds a network as the folder's image processor does."""
    if not any((folder / file).is_file() for file in _PROCESSORS):
        return replace(adaptation, mean=IMAGENET_MEAN, std=IMAGENET_STD)
    try:
        with _offline():
            processor = transformers.AutoImageProcessor.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False
            )
        mean, std = _normalisation(processor)
    except Exception as error:  # as for the network
        if is_of_machine(error):
            raise
        raise ConfigError(
            f"network hf:{folder}: expected an image processor that transformers knows, it "
            f"answers: {_first_line(error)}; set mean and std"
        ) from error
    if not getattr(processor, "do_flip_channel_order", False):
        return replace(adaptation, mean=mean, std=std)
    # The processor normalises blue first.
    return replace(
        adaptation,
        mean=(mean[2], mean[1], mean[0]),
        std=(std[2], std[1], std[0]),
        channel_order="bgr",
    )


def _normalisation(processor: Any) -> tuple[Rgb, Rgb]:
    """Return mean and std with which a processor feeds images in [0, 1].

    A processor without ``do_normalize`` or ``do_rescale`` does not do it.
    """
    # A pixel p of 0 to 255 becomes (p f - mean) / std, and ours is p / 255.
    rescales = getattr(processor, "do_rescale", False)
    scale = 255 * (processor.rescale_factor if rescales else 1.0)
    if not getattr(processor, "do_normalize", False):
        return _scaled(0.0, scale), _scaled(1.0, scale)
    if processor.image_mean is None or processor.image_std is None:
        raise ValueError("it normalises, but has no mean and std")
    return _scaled(processor.image_mean, scale), _scaled(processor.image_std, scale)


def _scaled(values: float | Sequence[float], scale: float) -> Rgb:
    """Return one value, or one of each colour, in the scale of images in [0, 1]."""
    one, two, three = (values,) * 3 if isinstance(values, int | float) else values
    return one / scale, two / scale, three / scale


@contextmanager
def _without_bars(logging: Any) -> Iterator[None]:
    """Keep the library's progress bars and tables off the terminal."""
    bars, verbosity = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


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
