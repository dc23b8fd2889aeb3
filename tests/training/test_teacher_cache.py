"""A teacher's maps on disk: the same bits read as written, and nothing foreign is believed."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from segdistill.config import RunConfig
from segdistill.config.identity import differing, identity_of, identity_of_maps
from segdistill.errors import ConfigError
from segdistill.models.frozen import FrozenTeacher
from segdistill.runs.metrics import read_metrics, train_lines
from segdistill.runs.student import student_file
from segdistill.training.events import Event, Note
from segdistill.training.run import run_cohort
from segdistill.training.teacher_cache import TeacherCache
from segdistill.types import TapMaps

Make = Callable[..., RunConfig]
CPU = torch.device("cpu")
IMAGES = torch.randint(0, 255, (2, 3, 32, 40), generator=torch.Generator().manual_seed(0)).byte()


@dataclass
class Counted:
    """Maps of two taps, and how often they were computed."""

    dtype: torch.dtype = torch.float32
    calls: int = 0
    scale: float = 1.0

    def __call__(self) -> TapMaps:
        self.calls += 1
        generator = torch.Generator().manual_seed(1)
        logits, features = torch.randn(2, 2, 5, 4, 6, generator=generator).to(self.dtype)
        logits[0, 3] = -torch.inf  # of a class that the teacher excludes
        features = features.contiguous(memory_format=torch.channels_last)
        return {"logits": logits, "backbone": features * self.scale}


def maps(cache: TeacherCache, compute: Counted, images: Tensor = IMAGES, step: int = 3) -> TapMaps:
    return cache.batch(step, images, 0).maps(compute, 0)


def cache(folder: Path, key: str = "key") -> TeacherCache:
    return TeacherCache(folder, key, ("logits", "backbone"), CPU)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_maps_are_computed_once_and_read_with_the_same_bits_and_layout(
    dtype: torch.dtype, tmp_path: Path
) -> None:
    compute = Counted(dtype)
    written, read = maps(cache(tmp_path), compute), maps(cache(tmp_path), compute)
    assert compute.calls == 1
    for tap, values in compute().items():
        assert torch.equal(written[tap], read[tap])
        assert read[tap].dtype == dtype
        assert read[tap].stride() == written[tap].stride() == values.stride()
        finite = values.isfinite()
        error = (read[tap].double() - values.double())[finite].abs()
        assert bool((error <= values[finite].double().abs() * 2**-11).all())
        assert torch.equal(read[tap][~finite], values[~finite])
        if dtype == torch.bfloat16:
            assert torch.equal(read[tap], values)  # half precision holds all of its digits


def test_a_tap_that_lacks_is_computed_and_the_other_read(tmp_path: Path) -> None:
    compute = Counted()
    maps(TeacherCache(tmp_path, "key", ("logits",), CPU), compute)
    both = cache(tmp_path)
    assert set(maps(both, compute)) == {"logits", "backbone"}
    assert (both.read, both.written, both.replaced) == (1, 1, 0)


def test_what_is_broken_or_foreign_is_computed_again(tmp_path: Path) -> None:
    compute = Counted()
    expected = maps(cache(tmp_path), compute)
    files = sorted(tmp_path.iterdir())

    def check(again: TeacherCache, images: Tensor = IMAGES) -> None:
        found = maps(again, compute, images)
        assert again.replaced == again.written > 0
        assert all(torch.equal(found[tap], values) for tap, values in expected.items())
        assert "in place of broken or foreign files" in again.summary()

    files[0].write_bytes(files[0].read_bytes()[:-40])  # cut off
    check(cache(tmp_path))
    flipped = bytearray(files[1].read_bytes())
    flipped[-7] ^= 1
    files[1].write_bytes(flipped)
    check(cache(tmp_path))
    files[0].write_bytes(files[1].read_bytes())  # of another tap
    check(cache(tmp_path))
    check(cache(tmp_path, "of another teacher"))
    check(cache(tmp_path, "of another teacher"), IMAGES + 1)  # the same names, other pixels
    sound = cache(tmp_path, "of another teacher")
    maps(sound, compute, IMAGES + 1)
    assert (sound.read, sound.replaced) == (2, 0)


def test_maps_beyond_half_precision_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"below 65504, .* got .* at tap backbone"):
        maps(cache(tmp_path), Counted(scale=1e6))


def run(config: RunConfig, folder: Path) -> tuple[dict[str, Tensor], list[float], str]:
    said = list[str]()

    def tell(event: Event) -> None:
        if isinstance(event, Note) and "teacher.cache" in event.text:
            said.append(event.text)

    run_cohort({"": config}, folder, tell=tell)
    losses = [line.loss for line in train_lines(read_metrics(folder))]
    return load_file(student_file(folder)), losses, "\n".join(said)


def test_a_run_that_finds_the_maps_ends_with_the_bits_of_the_one_that_wrote_them(
    small: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = f"teacher.cache={tmp_path / 'cache'}"
    steps = "training.steps=4"
    cold, losses, said = run(small(where, steps), tmp_path / "cold")
    assert "MiB for 4 batches of backbone and logits in" in said
    assert "0 maps read, 8 computed and written" in said

    calls = list[int]()
    forward = FrozenTeacher.forward

    def count(teacher: FrozenTeacher, images: Tensor) -> TapMaps:
        calls.append(len(images))
        return forward(teacher, images)

    monkeypatch.setattr(FrozenTeacher, "forward", count)
    warm, same, said = run(small(where, steps), tmp_path / "warm")
    assert calls == [1]  # the size of the maps, and no batch
    assert "8 maps read, 0 computed" in said
    assert same == losses
    assert all(torch.equal(warm[name], values) for name, values in cold.items())
    # Another method of the same batches finds the maps that they share.
    _, _, said = run(small(where, steps, distill=[{"loss": "pixelwise_kl"}]), tmp_path / "other")
    assert "4 maps read, 0 computed" in said


def test_a_cache_that_is_too_large_or_no_folder_is_refused_before_anything_is_written(
    small: Make, tmp_path: Path
) -> None:
    words = (f"teacher.cache={tmp_path / 'cache'}", "teacher.cache_limit=1e-6")
    with pytest.raises(ConfigError, match=r"expected at most 1e-06 GiB, got .* MiB for 6 batches"):
        run_cohort({"": small(*words)}, tmp_path / "run")
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="expected a folder, got the file"):
        run_cohort({"": small(f"teacher.cache={tmp_path / 'file'}")}, tmp_path / "run")


def test_whether_maps_are_cached_is_part_of_what_a_run_is_and_where_is_not(small: Make) -> None:
    plain, here = small(), small("teacher.cache=here")
    there = small("teacher.cache=there", "teacher.cache_limit=1")
    assert differing(identity_of(here), identity_of(there)) == {}
    assert differing(identity_of(plain), identity_of(here)) == {"teacher.cache": (None, "a path")}
    assert "cache" not in plain.tree()["teacher"]
    assert identity_of_maps(small("training.lr=1", distill=[])) == identity_of_maps(plain)
    for word in ("data.seed=1", "data.flip=false", "training.precision=bf16-mixed"):
        assert identity_of_maps(small(word)) != identity_of_maps(plain)
