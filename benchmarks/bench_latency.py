"""Five students on one core: the time of an image at 256x512, in float32 and in bfloat16.

python benchmarks/bench_latency.py
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from results_file import write_result

from segdistill.delivery.cost import count
from segdistill.delivery.latency import measure
from segdistill.models import build_network

SIZE = (256, 512)
CLASSES = 19
STUDENTS: dict[str, dict[str, Any]] = {
    "lraspp, MobileNetV2 0.35": {
        "network": "lraspp",
        "backbone": "mobilenetv2_035",
        "output_stride": 16,
        "width": 64,
    },
    "reduced DeepLabV3, MobileNetV2": {
        "network": "reduced_deeplabv3",
        "backbone": "mobilenetv2_100",
        "output_stride": 16,
    },
    "ESPNet-C": {"network": "espnet_c"},
    "DeepLabV3, ResNet-18, stride 8": {
        "network": "deeplabv3",
        "backbone": "resnet18",
        "output_stride": 8,
        "width": 128,
    },
    "PSPNet, ResNet-18, stride 8": {
        "network": "pspnet",
        "backbone": "resnet18d",
        "output_stride": 8,
        "width": 128,
    },
}


def main() -> None:
    rows = {}
    for name, settings in STUDENTS.items():
        network = build_network(settings, classes=CLASSES, seed=0)
        cost = count(network, SIZE)
        times = {
            precision: asdict(measure(network, SIZE, precision=precision, passes=7))
            for precision in ("fp32", "bf16")
        }
        rows[name] = {"settings": settings, "cost": asdict(cost), "latency": times}
        shown = {key: round(value["median_ms"], 1) for key, value in times.items()}
        print(f"{name}: {cost.params_m:.2f} M, {cost.gflops:.1f} GFLOPs, {shown} ms", flush=True)
    print(write_result("latency", {"size": SIZE, "students": rows}))


if __name__ == "__main__":
    main()
