"""Real-time students at CamVid's half size on one core: cost, time, and parity of the ONNX file.

python benchmarks/bench_latency_students.py
"""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from results_file import write_result
from torch import nn

from segdistill.delivery.cost import count
from segdistill.delivery.latency import measure
from segdistill.delivery.onnx import export_onnx
from segdistill.delivery.parity import compare_onnx
from segdistill.models import build_network

SIZE = (360, 480)
TRACED, OTHERS = (224, 256), ((288, 288), (192, 320), (261, 307))
CLASSES = 11
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
}


def main() -> None:
    networks = {
        name: build_network(settings, classes=CLASSES, seed=0)
        for name, settings in STUDENTS.items()
    }
    rows: dict[str, dict[str, Any]] = {}
    for name, network in networks.items():
        cost, latency = count(network, SIZE), measure(network, SIZE, passes=9)
        rows[name] = {
            "settings": STUDENTS[name],
            "cost": asdict(cost),
            "latency": asdict(latency),
            "onnx": None,
        }
        print(
            f"{name}: {cost.params_m:.2f} M, {cost.gmacs:.2f} GMACs, {latency.median_ms:.1f} ms",
            flush=True,
        )
    result = {"size": SIZE, "classes": CLASSES, "students": rows}
    print(write_result("latency_students", result), flush=True)
    for name in sorted(rows, key=lambda each: float(rows[each]["cost"]["params_m"])):
        rows[name]["onnx"] = parity(networks[name])
        worst = max(size["largest_difference"] for size in rows[name]["onnx"])
        print(f"{name}: ONNX within {worst:.1e}", flush=True)
        write_result("latency_students", result)


def parity(network: nn.Module) -> list[dict[str, Any]]:
    """Return how far the ONNX file is from the network at sizes that were not traced."""
    torch.manual_seed(0)
    with torch.no_grad():  # statistics that matter
        network.train()(torch.rand(4, 3, *TRACED))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "network.onnx"
        export_onnx(network.eval(), file, TRACED, full_size=False)
        return [asdict(each) for each in compare_onnx(network, file, OTHERS)]


if __name__ == "__main__":
    main()
