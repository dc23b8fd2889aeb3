"""Converts a program of torch.export to a LiteRT file; run as a script where litert-torch is.

``python convert_litert.py PROGRAM FILE [CALIBRATION]``: the program is a ``.pt2`` file, the
calibration an ``.npy`` array of images. It imports nothing of segdistill, whose requirements
litert-torch contradicts.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import torch


def main(program: str, file: str, calibration: str = "") -> None:
    """Write the file, quantised to INT8 if there are images for calibration."""
    import litert_torch

    exported = torch.export.load(program)
    (args, _) = exported.example_inputs
    converted = litert_torch.convert(exported.module(), args)
    if not calibration:
        converted.export(file)
        return
    from ai_edge_litert.interpreter import Interpreter
    from ai_edge_quantizer import quantizer, recipe

    with tempfile.TemporaryDirectory() as folder:
        floating = str(Path(folder) / "float.tflite")
        converted.export(floating)
        ((signature, names),) = Interpreter(floating).get_signature_list().items()
        (name,) = names["inputs"]
        quantise = quantizer.Quantizer(floating)
        quantise.load_quantization_recipe(recipe.static_wi8_ai8())
        images = np.load(calibration, allow_pickle=False)
        ranges = quantise.calibrate({signature: [{name: image} for image in images]})
        Path(file).write_bytes(quantise.quantize(ranges).quantized_model)


if __name__ == "__main__":
    main(*sys.argv[1:])
