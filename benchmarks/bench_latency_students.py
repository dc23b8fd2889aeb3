"""Real-time students at CamVid's half size on one core: cost, time, and parity of the ONNX file.

The time is the thread's processor time, which other work on the machine lengthens far less than
the clock's; the load beside it says how busy the machine was.

python benchmarks/bench_latency_students.py
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from results_file import write_result
from torch import nn

from segdistill.data.formats.camvid import CLASSES as CAMVID
from segdistill.delivery.cost import count
from segdistill.delivery.onnx import export_onnx
from segdistill.delivery.opening import open_file
from segdistill.delivery.parity import compare
from segdistill.models import build_network

SIZE, PASSES = (360, 480), 5
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
}


def main() -> None:
    networks = {
        name: build_network(settings, classes=CLASSES, seed=0)
        for name, settings in STUDENTS.items()
    }
    rows: dict[str, dict[str, Any]] = {}
    for name, network in networks.items():
        cost, milliseconds = count(network, SIZE), processor_ms(network)
        rows[name] = {
            "settings": STUDENTS[name],
            "cost": asdict(cost),
            "processor_ms": statistics.median(milliseconds),
            "fastest_ms": min(milliseconds),
            "load": os.getloadavg()[0],
            "onnx": None,
        }
        print(
            f"{name}: {cost.params_m:.2f} M, {cost.gmacs:.2f} GMACs, "
            f"{statistics.median(milliseconds):.1f} ms, fastest {min(milliseconds):.1f}",
            flush=True,
        )
    result = {"size": SIZE, "classes": CLASSES, "threads": 1, "passes": PASSES, "students": rows}
    print(write_result("latency_students", result), flush=True)
    for name in sorted(rows, key=lambda each: float(rows[each]["cost"]["params_m"])):
        rows[name]["onnx"] = parity(networks[name])
        worst = max(size["largest_difference"] for size in rows[name]["onnx"])
        print(f"{name}: ONNX within {worst:.1e}", flush=True)
        write_result("latency_students", result)


def processor_ms(network: nn.Module) -> list[float]:
    """Return the processor time of each forward pass of one image, eager, channels last."""
    torch.set_num_threads(1)
    images = torch.rand(1, 3, *SIZE).to(memory_format=torch.channels_last)
    network = network.eval().to(memory_format=torch.channels_last)
    times = []
    with torch.inference_mode():
        for _ in range(PASSES + 2):
            start = time.thread_time()
            network(images)
            times.append(1000 * (time.thread_time() - start))
    return times[2:]


def parity(network: nn.Module) -> list[dict[str, Any]]:
    """Return how far the ONNX file is from the network at sizes that were not traced."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the statistics of the batch itself, so that logits vary
    with torch.no_grad():
        network.train()(torch.rand(4, 3, *TRACED))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "network.onnx"
        export_onnx(network.eval(), file, TRACED, full_size=False)
        opened = open_file(file, "onnx", classes=CAMVID)
        return [asdict(each) for each in compare(network, opened, OTHERS)]


if __name__ == "__main__":
    main()
