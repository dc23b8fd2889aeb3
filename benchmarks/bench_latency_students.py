"""Real-time students on CamVid's whole images on one core: cost, time, and parity of ONNX files.

Each is timed in eager PyTorch, which gives logits at their stride, and as ONNX files in float and
in INT8, which resize them to the image, in turns. The time is the process's processor time, which
other work on the machine lengthens far less than the clock's; the load beside it says how busy the
machine was. The networks are not trained, so nothing is said of what INT8 costs in accuracy.

python benchmarks/bench_latency_students.py
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from results_file import FOLDER, write_result
from torch import nn

from segdistill.data.formats.camvid import CLASSES as CAMVID
from segdistill.delivery.contract import Contract
from segdistill.delivery.cost import count
from segdistill.delivery.onnx import write_onnx
from segdistill.delivery.onnx_int8 import write_onnx_int8
from segdistill.delivery.opening import open_file
from segdistill.delivery.parity import compare
from segdistill.files import read_json
from segdistill.models import build_network

SIZE, WARM_UP, PASSES, CALIBRATION = (360, 480), 2, 9, 4
TRACED, OTHERS = (224, 256), ((288, 288), (192, 320), (261, 307))
CLASSES = len(CAMVID)
SMALL = {"backbone": "mobilenetv2_035"}
STUDENTS: dict[str, dict[str, Any]] = {
    "FPN, MobileNetV2 0.35, light": {
        "network": "fpn",
        **SMALL,
        "pyramid": 48,
        "width": 32,
        "smooth": False,
    },
    "FPN, EfficientNet-Lite0": {
        "network": "fpn",
        "backbone": "efficientnet_lite0",
        "pyramid": 96,
        "width": 64,
    },
    "UPerNet, MobileNetV2 0.35": {"network": "upernet", **SMALL, "width": 64},
    "SegFormer-B0": {"network": "segformer", "backbone": "mit_b0"},
    "SegFormer-B1": {"network": "segformer", "backbone": "mit_b1"},
    "PIDNet-S": {"network": "pidnet", "variant": "small"},
    "PIDNet-M": {"network": "pidnet", "variant": "medium"},
    "DDRNet-23-slim": {"network": "ddrnet", "variant": "23_slim"},
    "DDRNet-23": {"network": "ddrnet", "variant": "23"},
    "STDC1-Seg": {"network": "stdc", "variant": "stdc1"},
    "STDC2-Seg": {"network": "stdc", "variant": "stdc2"},
    "PP-LiteSeg-T": {"network": "pp_liteseg", "variant": "tiny"},
    "PP-LiteSeg-B": {"network": "pp_liteseg", "variant": "base"},
    "BiSeNetV2": {"network": "bisenetv2"},
    "Fast-SCNN": {"network": "fast_scnn"},
    "RegSeg": {"network": "regseg"},
    "SegNeXt-T": {"network": "segnext", "variant": "tiny"},
    "SegNeXt-S": {"network": "segnext", "variant": "small"},
    "TopFormer-T": {"network": "topformer", "variant": "tiny"},
    "TopFormer-S": {"network": "topformer", "variant": "small"},
    "TopFormer-B": {"network": "topformer", "variant": "base"},
    "SeaFormer-T": {"network": "seaformer", "variant": "tiny"},
    "SeaFormer-S": {"network": "seaformer", "variant": "small"},
    "SeaFormer-B": {"network": "seaformer", "variant": "base"},
    "SeaFormer-L": {"network": "seaformer", "variant": "large"},
}


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--again", action="store_true", help="also those that have a row")
    file = FOLDER / "latency_students.json"
    known = {} if words.parse_args().again or not file.exists() else read_json(file)["students"]
    rows: dict[str, dict[str, Any]] = {name: known[name] for name in STUDENTS if name in known}
    result = {"size": SIZE, "classes": CLASSES, "threads": 1, "passes": PASSES, "students": rows}
    for name, settings in STUDENTS.items():
        if name in rows:
            continue
        network = build_network(settings, classes=CLASSES, seed=0)
        fill_statistics(network)
        with tempfile.TemporaryDirectory() as folder:
            files = write_files(network, Path(folder))
            errors = compare(network, open_file(files["onnx"], "onnx"), OTHERS)
            programs = {each: open_file(file, each, threads=1) for each, file in files.items()}
            times = processor_ms({"eager": network, **programs})
            mib = {each: round(file.stat().st_size / 2**20, 2) for each, file in files.items()}
        rows[name] = {
            "settings": settings,
            "cost": asdict(count(network, SIZE)),
            "processor_ms": times,
            "load": os.getloadavg()[0],
            "mib": mib,
            "onnx": [asdict(each) for each in errors],
        }
        said = ", ".join(f"{each} {time['median']:.1f}" for each, time in times.items())
        worst = max(each.largest_difference for each in errors)
        print(f"{name}: ms {said}; ONNX within {worst:.1e}", flush=True)
        write_result("latency_students", result)


def fill_statistics(network: nn.Module) -> None:
    """Give batch norms the statistics of random images, so that logits vary."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the statistics of the batch itself
    with torch.no_grad():
        network.train()(torch.rand(4, 3, *TRACED))
    network.eval()


def write_files(network: nn.Module, folder: Path) -> dict[str, Path]:
    """Write a network as ONNX in float and with every layer in INT8, calibrated on noise."""
    files = {"onnx": folder / "float.onnx", "onnx-int8": folder / "int8.onnx"}
    contract = Contract(classes=CAMVID.names, colors=CAMVID.colors)
    write_onnx(network, files["onnx"], TRACED, contract)
    noise = [torch.rand(1, 3, *TRACED).numpy() for _ in range(CALIBRATION)]
    write_onnx_int8(network, files["onnx-int8"], TRACED, contract, noise)
    return files


def processor_ms(programs: Mapping[str, nn.Module]) -> dict[str, dict[str, float]]:
    """Return the processor time of forward passes of one image, in turns; eager channels last."""
    torch.set_num_threads(1)
    images = torch.rand(1, 3, *SIZE)
    last = images.to(memory_format=torch.channels_last)
    programs["eager"].to(memory_format=torch.channels_last)
    times: dict[str, list[float]] = {name: [] for name in programs}
    with torch.inference_mode():
        for number in range(WARM_UP + PASSES):
            for name, program in programs.items():
                start = time.process_time()
                program(last if name == "eager" else images)
                if number >= WARM_UP:
                    times[name].append(1000 * (time.process_time() - start))
    return {
        name: {"median": statistics.median(own), "fastest": min(own)} for name, own in times.items()
    }


if __name__ == "__main__":
    main()
