"""Published ImageNet weights: whether they exist, are here, or can be fetched."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.request import Request, urlopen

import huggingface_hub
import timm
import torch
from torch import nn

from segdistill.checks import nearest
from segdistill.models.checkpoints.reading import read_checkpoint

_SECONDS = 1.5  # for a hub to answer; files that are already here need no hub
_HUB_FILES = ("model.safetensors", "pytorch_model.bin")


def timm_arguments(name: str) -> dict[str, Any]:
    """Return the keywords with which ``timm.create_model`` loads published weights.

    Weights in the cache are read here, so that no network is needed.

    Args:
        name: a timm name.

    Raises:
        ValueError: none were published, or they are not here and no hub answers.
    """
    file = timm_file(name)
    if file is None or timm.get_pretrained_cfg(name).custom_load:
        return {"pretrained": True}
    state = next(iter(read_checkpoint(file).states.values()))
    return {"pretrained": True, "pretrained_cfg_overlay": {"state_dict": dict(state)}}


def forget_state(network: nn.Module) -> None:
    """Drop what :func:`timm_arguments` gave, which timm stores in addition to the weights."""
    for module in network.modules():
        config = getattr(module, "pretrained_cfg", None)
        if isinstance(config, dict):
            config.pop("state_dict", None)


def timm_file(name: str) -> Path | None:
    """Return the cached file of a timm network's weights, or None if a hub has it.

    Raises:
        ValueError: as for :func:`timm_arguments`.
    """
    config = timm.get_pretrained_cfg(name, allow_unregistered=True)
    if config is None or not config.has_weights:
        raise ValueError(
            f"Backbone {name}: expected published ImageNet weights for pretrained=true, timm has "
            f"none for it; the nearest with some is {published_neighbour(name)}: name that, or "
            "give a file under backbone_weights, or set pretrained=false"
        )
    owner = f"Backbone {name}"
    if config.url and (cached := _hub_cache(config.url)).is_file():
        return cached
    if config.hf_hub_id:
        repository, _, revision = config.hf_hub_id.partition("@")
        names = (config.hf_hub_filename,) if config.hf_hub_filename else _HUB_FILES
        return hub_file(repository, names, owner, revision or None)
    return url_file(config.url, owner)


def hub_file(
    repository: str, names: Sequence[str], owner: str, revision: str | None = None
) -> Path | None:
    """Return a file in the cache of the Hugging Face hub, or None if the hub answers for it.

    Args:
        repository: such as ``timm/resnet18.a1_in1k``.
        names: of the file, any of which will do.
        owner: the first word of a refusal.
        revision: of the repository.

    Raises:
        ValueError: it is in no cache, and the hub does not answer.
    """
    for name in names:
        cached = huggingface_hub.try_to_load_from_cache(repository, name, revision=revision)
        if isinstance(cached, str):
            return Path(cached)
    url = huggingface_hub.hf_hub_url(repository, names[-1], revision=revision)
    _check_answer(
        lambda: huggingface_hub.get_hf_file_metadata(url, timeout=_SECONDS),
        f"{owner}: expected its ImageNet weights, got no {names[0]} of {repository} in the cache "
        "of the Hugging Face hub and no answer from the hub; connect once to fetch it",
    )
    return None


def url_file(url: str, owner: str) -> Path | None:
    """Return a file in torch's cache, or None if its server answers; raises as above."""
    cached = _hub_cache(url)
    if cached.is_file():
        return cached
    _check_answer(
        lambda: urlopen(Request(url, method="HEAD"), timeout=_SECONDS).close(),
        f"{owner}: expected its ImageNet weights, got no {cached.name} in {cached.parent} and no "
        "answer from its server; connect once to fetch it",
    )
    return None


def published_neighbour(name: str) -> str:
    """Return the network with published weights that is likest to one without.

    Of one family, it is the one nearest in width or depth.
    """
    published: list[str] = sorted({each.partition(".")[0] for each in timm.list_pretrained()})
    stem, number = _family(name)
    family = [each for each in published if _family(each)[0] == stem]
    if number is not None and family:
        return min(family, key=lambda each: abs((_family(each)[1] or 0) - number))
    shorter = [each for each in published if name.startswith(f"{each}_")]
    if shorter:
        return max(shorter, key=len)
    answer = nearest(name, published)
    return answer.split("'")[1] if answer.startswith("did") else "resnet18"


def _family(name: str) -> tuple[str, int | None]:
    match = re.fullmatch(r"(.*_)(\d+)", name)
    return (match.group(1), int(match.group(2))) if match else (name, None)


def _hub_cache(url: str) -> Path:
    return Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]


def _check_answer(ask: Callable[[], object], refusal: str) -> None:
    """Ask a server once; looking its name up has no time limit of its own, hence the thread."""
    errors: list[Exception] = []
    answers: list[object] = []

    def run() -> None:
        try:
            answers.append(ask())
        except Exception as error:
            errors.append(error)

    thread = Thread(target=run, daemon=True)
    thread.start()
    thread.join(_SECONDS)
    if not answers:
        reason = type(errors[0]).__name__ if errors else f"nothing in {_SECONDS} s"
        raise ValueError(
            f"{refusal}, give a local file under backbone_weights, or set pretrained=false "
            f"({reason})"
        )
