"""export: the format's row says what writes the file and what compares it."""

from pathlib import Path

import pytest
from torch import nn

from segdistill.api.export import export
from segdistill.catalogue.formats import FORMATS, Format
from segdistill.delivery import onnx, parity
from segdistill.errors import ConfigError


def test_a_format_is_a_row_and_its_functions(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []

    def write(network: nn.Module, file: Path, size: tuple[int, int]) -> None:
        file.write_text(f"{type(network).__name__} {size[0]}x{size[1]}")

    def compare(network: nn.Module, file: Path, sizes: object) -> list[parity.Parity]:
        compared.append((file.read_text(), sizes))
        return [parity.Parity((32, 64), 0.0, 1.0)]

    row = Format("onnx:write_text", "Text.", compare="parity:compare_text", suffix=".txt")
    monkeypatch.setitem(FORMATS, "text", row)
    monkeypatch.setattr(onnx, "write_text", write, raising=False)
    monkeypatch.setattr(parity, "compare_text", compare, raising=False)
    made = export(run, format="text", size=(32, 64))
    assert made.file == run / "student.txt"
    assert made.file.read_text().endswith("32x64")
    assert compared[0][1] == ((32, 64), *parity.other_sizes((32, 64)))


def test_an_unknown_format_is_refused_with_the_nearest(run: Path) -> None:
    with pytest.raises(ConfigError, match="there is no format 'onx'; did you mean 'onnx'"):
        export(run, format="onx")
