"""Files of analyses as ``segdistill analyse`` writes them, for the tests of their figures."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

CLASSES = ["sky", "road", "pole <thin>"]
METHODS = ["plain", "kl", "angular"]


def header(pair: str = "", source: str = "Somebody et al., Fig. 1") -> dict[str, Any]:
    runs = {
        name: {"folder": name, "config_hash": f"{i:012x}", "seed": 3, "data_seed": 3}
        for i, name in enumerate(METHODS)
    }
    return {"source": source, "pair": pair, "runs": runs, "teacher": {}, "split": "val"}


def entropy(pair: str = "") -> dict[str, Any]:
    rows = [
        {"temperature": 1.0, "mean": 0.25, "shares": [0.8, 0.1, 0.1]},
        {"temperature": 4.0, "mean": 0.75, "shares": [0.0, 0.25, 0.75]},
    ]
    edges = [0.0, 0.4, 0.8, 1.0986]
    own = {"images": ["a", "b"], "pixels": 4096, "classes": 3, "edges": edges}
    return header(pair) | own | {"temperatures": rows}


def embedding() -> dict[str, Any]:
    random = np.random.default_rng(0)
    networks: dict[str, Any] = {"teacher": {"neighbour_agreement": 0.9}}
    for place, name in enumerate(METHODS):
        points = random.normal(size=(2, 30)).round(2).tolist()
        share = 0.5 + place / 10
        networks[name] = {"neighbour_agreement": share, "x": points[0], "y": points[1]}
    return header() | {
        "settings": {"tap": "head"},
        "classes": CLASSES,
        "colors": [[70, 130, 180], [128, 64, 128], [0, 0, 0]],
        "labels": [0] * 10 + [2] * 20,
        "neighbours": 10,
        "perplexity": 9.0,
        "networks": networks,
    }


def affinity(folder: Path) -> dict[str, Any]:
    (folder / "affinity").mkdir(parents=True, exist_ok=True)
    picture = np.full((24, 32, 3), 120, dtype=np.uint8)
    Image.fromarray(picture).save(folder / "affinity" / "0_input.jpg")
    maps = {}
    for place, name in enumerate([*METHODS, "teacher"]):
        grey = np.linspace(100 + place, 255, 12).astype(np.uint8).reshape(3, 4)
        Image.fromarray(grey).save(folder / "affinity" / f"0_{name}.png")
        low = float(grey.min()) / 127.5 - 1
        maps[name] = {"file": f"affinity/0_{name}.png", "low": low, "mean": 0.125 * (1 + place)}
    point = {"image": "street & square", "input": "affinity/0_input.jpg", "size": [24, 32]}
    point |= {"grid": [3, 4], "row": 2, "column": 3, "class": "pole <thin>", "maps": maps}
    return header() | {"settings": {"tap": "head", "seed": 0}, "points": [point]}


def critic() -> dict[str, Any]:
    gaps = {"plain": [0.5, -0.25, 0.5], "kl": [0.25, 0.0, -0.25]}
    own = {"images": ["a", "b", "c"], "critics": {"kl": {"step": 1200, "gaps": gaps}}}
    return header() | own


def magnitudes() -> dict[str, Any]:
    row = {"tap": "backbone", "weight": 2.0, "values": 2048, "steps": [5, 10, 15, 20]}
    row |= {"m": [8.0, 8.5, 8.0, 8.0], "n": [32.0, 16.0, 9.0, 8.0]}
    row["mn_over_values"] = [0.125, 0.0625, 0.04, 0.03]
    empty = {**row, "steps": [], "m": [], "n": [], "mn_over_values": []}
    return header() | {"networks": {"kl": row, "angular": empty}}


def images() -> dict[str, Any]:
    row = {"seeds": 6, "mean": 0.01, "better": 3, "worse": 1}
    row |= {"differences": [0.04, -0.02, None, 0.01, 0.01], "worst": [{}], "best": [{}]}
    return header(source="") | {
        "images": list("abcde"),
        "methods": {"kl": row, "angular": {**row, "better": 2}},
    }


def write_all(folder: Path) -> Path:
    """Write every file of a folder's analyses, and a second pair's entropy."""
    place = folder / "analyses"
    found = {
        "entropy": entropy(),
        "embedding": embedding(),
        "affinity": affinity(place),
        "critic": critic(),
        "magnitudes": magnitudes(),
        "images": images(),
        "large to small/entropy": entropy("large to small"),
    }
    for name, value in found.items():
        file = place / f"{name}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(value))
    return folder
