"""The students that ``segdistill search`` tries if its file names none."""

from __future__ import annotations

from collections.abc import Mapping

_LIGHT = ("mobilenetv2_035", "mobilenetv2_050", "mobilenetv2_100", "efficientnet_lite0")

STUDENTS: Mapping[str, Mapping[str, tuple[object, ...]]] = {
    "lraspp": {"backbone": _LIGHT, "output_stride": (8, 16, 32), "width": (32, 64, 128)},
    "reduced_deeplabv3": {"backbone": _LIGHT, "output_stride": (16, 32), "width": (64, 128, 256)},
    "fpn": {
        "backbone": _LIGHT,
        "pyramid": (48, 96),
        "width": (32, 64),
        "smooth": (False,),
    },
    "segformer": {"backbone": ("mit_b0", *_LIGHT), "width": (64, 128, 256)},
    "pidnet": {"variant": ("small", "medium")},
    "ddrnet": {"variant": ("23_slim", "23")},
    "stdc": {"variant": ("stdc1", "stdc2")},
    "pp_liteseg": {"variant": ("tiny", "base")},
    "bisenetv2": {"width": (128, 256, 1024)},
    "fast_scnn": {},
    "regseg": {},
    "segnext": {"variant": ("tiny", "small")},
    "topformer": {"variant": ("tiny", "small", "base")},
    "seaformer": {"variant": ("tiny", "small", "base", "large")},
}
"""The values of the student's keys, by family: light heads on light backbones, and the real-time
networks in every size."""
