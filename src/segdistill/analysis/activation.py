"""Activation maps of chosen layers of every network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import image as files

from segdistill.analysis.captions import Place, provenance, titled
from segdistill.analysis.header import header
from segdistill.analysis.overlays import Panel, draw_panels, reduced
from segdistill.drawing.figure import Figure
from segdistill.drawing.svg import to_svg
from segdistill.runs.analyses import find_picture, name_picture, picture_folder
from segdistill.training.events import Note

if TYPE_CHECKING:
    from torch import Tensor

    from segdistill.analysis.looking import Looked
    from segdistill.analysis.opened import Opened


def measure(looked: Looked) -> dict[str, Any] | None:
    """Write the activation maps of every network as grey pictures, and return their description.

    None if no layer is in every network; layers that a network lacks are left out with a note.
    """
    from segdistill.data.pictures import write_image

    opened = looked.opened
    layers = []
    for layer in opened.settings.layers:
        lacking = opened.lacking(layer)
        if lacking:
            looked.tell(
                Note(f"no layer '{layer}' in {', '.join(lacking)}: left out of the activations")
            )
        else:
            layers.append(layer)
    if not layers:
        return None
    pictures = picture_folder(opened.folder, "activation", opened.compared.pair)
    pictures.mkdir(parents=True, exist_ok=True)
    places = _spread(len(opened.samples), opened.settings.heatmaps)
    images: list[dict[str, Any]] = []
    for number, place in enumerate(places):
        sample = opened.samples[place]
        photo = pictures / f"{number}_input.jpg"
        write_image(photo, reduced(sample.image), made_by="analyse")
        images.append(
            {"image": sample.name, "input": name_picture(opened.folder, photo), "layers": {}}
        )
    for layer_number, layer in enumerate(layers):
        for name, maps in _maps(opened, layer, places).items():
            for number, values in enumerate(maps):
                low, high = float(values.min()), float(values.max())
                shares = (values - low) / max(high - low, 1e-12)
                file = pictures / f"{number}_{layer_number}_{name}.png"
                grey = (255 * shares).round().byte().numpy()
                write_image(file, grey, made_by="analyse")
                images[number]["layers"].setdefault(layer, {})[name] = {
                    "file": name_picture(opened.folder, file),
                    "low": low,
                    "high": high,
                    "mean": float(values.mean()),
                }
    return header("activation", opened, "layers", "heatmaps") | {
        "value_of_grey": "activation = low + grey / 255 * (high - low)",
        "images": images,
    }


def draw(values: Mapping[str, Any], place: Place) -> list[Figure]:
    """Draw for each image and layer the picture, and the map of every network over it."""
    figures = []
    for number, image in enumerate(values["images"]):
        for layer_number, (layer, maps) in enumerate(image["layers"].items()):
            ranges = ", ".join(
                f"{name} {row['low']:.3g} to {row['high']:.3g}" for name, row in maps.items()
            )
            figures.append(
                Figure(
                    titled(f"Activations of {layer} on {image['image']}", values),
                    f"Mean absolute value of the channels of {layer} at every position of "
                    f"{image['image']}, each network from its own lowest to its own highest "
                    f"value: where it answers, not how strongly. {provenance(values)}",
                    to_svg(
                        _panels(image, maps, place.folder),
                        f"{place.name}-{number}-{layer_number}",
                    ),
                    f"Maps over {image['image']}. Lowest and highest activation: {ranges}.",
                )
            )
    return figures


def _panels(image: Mapping[str, Any], maps: Mapping[str, Any], folder: Path) -> Any:
    """Return the picture alone, then under the map of every network."""
    photo = files.imread(find_picture(folder, image["input"]))
    panels = [Panel("input")]
    for name, row in maps.items():
        grey = np.asarray(files.imread(find_picture(folder, row["file"])), dtype=np.float64)
        panels.append(Panel(name, grey))
    figure, _ = draw_panels(photo, panels, ends=("weakest", "strongest"), low=0.0)
    return figure


def _maps(opened: Opened, layer: str, places: list[int]) -> dict[str, list[Tensor]]:
    """Return the maps of every network, the teacher last."""
    from segdistill.analysis.passes import passes
    from segdistill.scoring.activations import activation_map

    inputs = [opened.inputs[place] for place in places]
    return {
        name: [
            activation_map(activations.features)
            for activations in passes(network, inputs, layer, opened.device)
        ]
        for name, network in opened.networks.items()
    }


def _spread(count: int, most: int) -> list[int]:
    """Return indices of images, spread evenly over the analysed ones."""
    chosen = min(count, most)
    return [(2 * number + 1) * count // (2 * chosen) for number in range(chosen)]
