"""Networks from a compiled file: teachers whose logits are the original's."""

import io
import pickle
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from segdistill.errors import CheckpointError
from segdistill.models import FrozenTeacher, build_network

IMAGES = torch.rand(2, 3, 24, 40, generator=torch.Generator().manual_seed(0))


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.classifier = nn.Conv2d(4, 5, 1)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.norm(self.first(images)).relu())
        return logits


def original() -> nn.Module:
    torch.manual_seed(0)
    return Small().eval()


def script(path: Path) -> None:
    torch.jit.script(original()).save(str(path))


def export(path: Path) -> None:
    dynamic = torch.export.Dim.DYNAMIC
    shapes = ({0: dynamic, 2: dynamic, 3: dynamic},)
    program = torch.export.export(
        original(), (IMAGES[:, :, :20].contiguous(),), dynamic_shapes=shapes
    )
    torch.export.save(program, path)


def plant(program: Path, target: Path) -> None:
    """Copy a program with its example inputs replaced by code."""
    bomb = io.BytesIO()
    torch.save(Bomb(), bomb)
    with ZipFile(program) as good, ZipFile(target, "w") as bad:
        inputs = [each for each in good.namelist() if "sample_inputs" in each]
        assert inputs
        for name in good.namelist():
            bad.writestr(name, bomb.getvalue() if name in inputs else good.read(name))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(("save", "name"), [(script, "a.pt"), (export, "a.pt2")])
def test_a_program_is_a_teacher_with_the_originals_logits(
    save: object, name: str, tmp_path: Path
) -> None:
    save(tmp_path / name)  # type: ignore[operator]
    network = build_network({"network": f"file:{tmp_path / name}"}, classes=5)
    teacher = FrozenTeacher(network, ["logits"])
    for _ in range(2):
        assert_close(teacher(IMAGES)["logits"], original()(IMAGES))
    with pytest.raises(ValueError, match="a network from a file is a teacher only"):
        network.train()(IMAGES)


def test_a_program_of_one_size_alone_says_so(tmp_path: Path) -> None:
    torch.export.save(torch.export.export(original(), (IMAGES,)), tmp_path / "a.pt2")
    network = build_network({"network": f"file:{tmp_path / 'a.pt2'}"}, classes=5).eval()
    with pytest.raises(ValueError, match="dynamic batch, height and width"):
        network(IMAGES[:, :, :20])


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return (Path.touch, (Path("exploded"),))


def test_a_pickled_network_is_never_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(Bomb(), "a.pt")
    Path("b.pt").write_bytes(pickle.dumps(Bomb()))
    Path("c.pt2").write_bytes(b"not a program")
    export(Path("good.pt2"))
    plant(Path("good.pt2"), Path("d.pt2"))
    for name in ("a.pt", "b.pt", "c.pt2", "d.pt2"):
        with pytest.raises(CheckpointError, match=r"a pickled nn.Module is never loaded"):
            build_network({"network": f"file:{name}"}, classes=5)
    assert not Path("exploded").exists()


@pytest.mark.filterwarnings("error::UserWarning")
def test_a_broken_program_is_refused_in_one_line_and_nothing_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    export(tmp_path / "a.pt2")
    build_network({"network": f"file:{tmp_path / 'a.pt2'}"}, classes=5)
    (tmp_path / "a.pt2").write_bytes((tmp_path / "a.pt2").read_bytes()[:-30])
    with pytest.raises(CheckpointError) as caught:
        build_network({"network": f"file:{tmp_path / 'a.pt2'}"}, classes=5)
    assert "\n" not in str(caught.value)
    assert "miniz" not in str(caught.value)
    assert [each for each in caplog.records if each.levelname == "WARNING"] == []


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(FileNotFoundError, match=r"file:nowhere.pt"):
        build_network({"network": "file:nowhere.pt"}, classes=5)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(("save", "suffix"), [(script, ".pt"), (export, ".pt2")])
def test_a_program_follows_its_teacher_to_a_device(
    save: Callable[[Path], None], suffix: str, tmp_path: Path
) -> None:
    file = tmp_path / f"a{suffix}"
    save(file)
    network = build_network({"network": f"file:{file}"}, classes=5)
    teacher = FrozenTeacher(network, ["logits"]).to("meta")
    (program,) = teacher.network.network.program  # type: ignore[union-attr]
    assert {each.device.type for each in program.parameters()} == {"meta"}
    # The network that it was copied from stays where it was.
    assert network.eval()(IMAGES).logits.device.type == "cpu"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_program_in_half_precision_gets_half_and_gives_float(tmp_path: Path) -> None:
    half = torch.jit.script(original().bfloat16())
    half.save(str(tmp_path / "a.pt"))
    network = build_network({"network": f"file:{tmp_path / 'a.pt'}"}, classes=5).eval()
    logits = network(IMAGES).logits
    assert logits.dtype == torch.float32
    assert_close(logits, half(IMAGES.bfloat16()).float())
