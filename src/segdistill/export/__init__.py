"""Delivery: what a network costs, how fast it is, and files that other programs run."""

from typing import TYPE_CHECKING

from segdistill.tables import lazy_attributes

if TYPE_CHECKING:
    from segdistill.export.cost import Cost as Cost
    from segdistill.export.cost import count as count
    from segdistill.export.cost import count_as_cirkd as count_as_cirkd
    from segdistill.export.latency import Latency as Latency
    from segdistill.export.latency import measure as measure
    from segdistill.export.onnx import export_onnx as export_onnx
    from segdistill.export.parity import Parity as Parity
    from segdistill.export.parity import compare_onnx as compare_onnx

_MODULES = {
    "Cost": "cost",
    "count": "cost",
    "count_as_cirkd": "cost",
    "Latency": "latency",
    "measure": "latency",
    "export_onnx": "onnx",
    "Parity": "parity",
    "compare_onnx": "parity",
}

__all__ = [*_MODULES]

__getattr__ = lazy_attributes(__name__, _MODULES)
