"""Files of analyses as ``segdistill analyse`` writes them, for the tests of their figures."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from segdistill.catalogue.analyses import ANALYSES
from segdistill.runs.analyses import Analysis, name_picture, picture_folder, write_analysis
from segdistill.runs.pictures import find_pictures

CLASSES = ["sky", "road", "pole <thin>"]
METHODS = ["plain", "kl", "angular"]


def header(name: str, pair: str = "") -> dict[str, Any]:
    runs = {
        method: {"folder": method, "config_hash": f"{i:012x}", "seed": 3, "data_seed": 3}
        for i, method in enumerate(METHODS)
    }
    source = ANALYSES[name].source
    return {"source": source, "pair": pair, "runs": runs, "teacher": {}, "split": "val"}


def entropy(pair: str = "") -> dict[str, Any]:
    rows = [
        {"temperature": 1.0, "mean": 0.25, "shares": [0.8, 0.1, 0.1]},
        {"temperature": 4.0, "mean": 0.75, "shares": [0.0, 0.25, 0.75]},
    ]
    edges = [0.0, 0.4, 0.8, 1.0986]
    own = {"images": ["a", "b"], "pixels": 4096, "classes": 3, "edges": edges}
    return header("entropy", pair) | own | {"temperatures": rows}


def embedding() -> dict[str, Any]:
    random = np.random.default_rng(0)
    networks: dict[str, Any] = {"teacher": {"neighbour_agreement": 0.9}}
    for place, name in enumerate(METHODS):
        points = random.normal(size=(2, 30)).round(2).tolist()
        share = 0.5 + place / 10
        networks[name] = {"neighbour_agreement": share, "x": points[0], "y": points[1]}
    return header("embedding") | {
        "settings": {"tap": "head"},
        "classes": CLASSES,
        "colors": [[70, 130, 180], [128, 64, 128], [0, 0, 0]],
        "labels": [0] * 10 + [2] * 20,
        "neighbours": 10,
        "perplexity": 9.0,
        "networks": networks,
    }


def affinity(folder: Path) -> dict[str, Any]:
    pictures = picture_folder(folder, "affinity")
    pictures.mkdir(parents=True, exist_ok=True)
    photo = pictures / "0_input.jpg"
    Image.fromarray(np.full((24, 32, 3), 120, dtype=np.uint8)).save(photo)
    maps = {}
    for place, name in enumerate([*METHODS, "teacher"]):
        grey = np.linspace(100 + place, 255, 12).astype(np.uint8).reshape(3, 4)
        file = pictures / f"0_{name}.png"
        Image.fromarray(grey).save(file)
        low = float(grey.min()) / 127.5 - 1
        maps[name] = {"file": name_picture(folder, file), "low": low, "mean": 0.125 * (1 + place)}
    point = {"image": "street & square", "input": name_picture(folder, photo), "size": [24, 32]}
    point |= {"grid": [3, 4], "row": 2, "column": 3, "class": "pole <thin>", "maps": maps}
    return header("affinity") | {"settings": {"tap": "head", "seed": 0}, "points": [point]}


def activation(folder: Path) -> dict[str, Any]:
    pictures = picture_folder(folder, "activation")
    pictures.mkdir(parents=True, exist_ok=True)
    photo = pictures / "0_input.jpg"
    Image.fromarray(np.full((24, 32, 3), 120, dtype=np.uint8)).save(photo)
    maps = {}
    for place, name in enumerate([*METHODS, "teacher"]):
        file = pictures / f"0_0_{name}.png"
        Image.fromarray(np.linspace(0, 255, 12).astype(np.uint8).reshape(3, 4)).save(file)
        row = {"low": 0.125, "high": 2.5 + place, "mean": 1.25}
        maps[name] = {"file": name_picture(folder, file), **row}
    image = {"image": "street & square", "input": name_picture(folder, photo)}
    own = {"settings": {"layers": ["backbone"]}, "images": [image | {"layers": {"backbone": maps}}]}
    return header("activation") | own


def critic() -> dict[str, Any]:
    gaps = {"plain": [0.5, -0.25, 0.5], "kl": [0.25, 0.0, -0.25]}
    own = {"images": ["a", "b", "c"], "critics": {"kl": {"step": 1200, "gaps": gaps}}}
    return header("critic") | own


def magnitudes() -> dict[str, Any]:
    row = {"tap": "backbone", "weight": 2.0, "values": 2048, "steps": [5, 10, 15, 20]}
    row |= {"m": [8.0, 8.5, 8.0, 8.0], "n": [32.0, 16.0, 9.0, 8.0]}
    row["mn_over_values"] = [0.125, 0.0625, 0.04, 0.03]
    empty = {**row, "steps": [], "m": [], "n": [], "mn_over_values": []}
    return header("magnitudes") | {"networks": {"kl": row, "angular": empty}}


def images(pair: str = "") -> dict[str, Any]:
    row = {"seeds": 6, "mean": 0.01, "better": 3, "worse": 1}
    row |= {"differences": [0.04, -0.02, None, 0.01, 0.01], "worst": [{}], "best": [{}]}
    return header("images", pair) | {
        "images": list("abcde"),
        "baseline": "plain",
        "methods": {"kl": row, "angular": {**row, "better": 2}},
        "pictures": {},
    }


def write_images(
    folder: Path,
    run: Path,
    *,
    names: Sequence[str] = ("street_1", "odd"),
    kinds: Sequence[str] = ("input", "truth", "plain", "kl"),
    pair: str = "",
) -> Path:
    """Write the pictures of worst and best images as an analysis does, from those of a run.

    Returns:
        The folder of the pictures.
    """
    kept = find_pictures(run)["street_1"]
    place = picture_folder(folder, "images", pair)
    place.mkdir(parents=True)
    pictures: dict[str, dict[str, str]] = {}
    for name in names:
        for kind in kinds:
            source = kept.get(kind, kept["prediction"])  # type: ignore[call-overload]
            file = place / f"{name}_{kind}{source.suffix}"
            shutil.copy(source, file)
            pictures.setdefault(name, {})[kind] = name_picture(folder, file)
    write_analysis(folder, Analysis(pair, "images", images(pair) | {"pictures": pictures}))
    return place


def write_all(folder: Path) -> Path:
    """Write every file of a folder's analyses, and a second pair's entropy."""
    own = {
        "entropy": entropy(),
        "embedding": embedding(),
        "affinity": affinity(folder),
        "activation": activation(folder),
        "critic": critic(),
        "magnitudes": magnitudes(),
        "images": images(),
    }
    for name, values in own.items():
        write_analysis(folder, Analysis("", name, values))
    pair = "large to small"
    write_analysis(folder, Analysis(pair, "entropy", entropy(pair)))
    return folder
