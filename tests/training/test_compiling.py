"""Compiled steps: the same maps, nothing learnt by measuring, and only where it pays."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.testing import assert_close

from segdistill.config import RunConfig, check, override
from segdistill.errors import ConfigError
from segdistill.models.compiled import CompiledNetwork, compile_network
from segdistill.models.frozen import FrozenTeacher
from segdistill.models.taps import record, set_taps
from segdistill.runs.metrics import compile_lines, read_metrics
from segdistill.runs.result import read_result
from segdistill.runs.student import student_file
from segdistill.training import compiling
from segdistill.training.compiling import Compiling, _settled, largest_difference
from segdistill.training.events import Event, Note
from segdistill.training.run import run_cohort
from segdistill.types import SegOutput

Make = Callable[..., RunConfig]


class Small(nn.Module):
    """A convolution with a norm, an activation in place after it, dropout, and a classifier."""

    def __init__(self, channels: int = 4) -> None:
        super().__init__()
        convolution = nn.Conv2d(3, channels, 3, 2, bias=False)
        self.body = nn.Sequential(convolution, nn.BatchNorm2d(channels))
        self.classifier = nn.Sequential(nn.Dropout(0.5), nn.Conv2d(channels, 5, 1))

    def forward(self, images: Tensor) -> SegOutput:
        return SegOutput(self.classifier(torch.relu_(self.body(images))))


class Replacing(nn.Module):
    """A network that puts another tensor in the place of its buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 5, 1)
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, images: Tensor) -> SegOutput:
        self.seen = self.seen + 1
        return SegOutput(self.convolution(images))


def small(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    network = Small()
    set_taps(network, {"backbone": "body", "logits": "classifier"})
    return network.train()


def images(size: int = 9, seed: int = 5) -> Tensor:
    return torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(seed))


def as_it_is(network: nn.Module) -> tuple[SegOutput, dict[str, Tensor]]:
    torch.manual_seed(9)
    with record(network, ["backbone", "logits"]) as maps:
        return network(images()), maps


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    yield
    torch.compiler.reset()


@pytest.mark.parametrize(
    "backend",
    [
        "aot_eager",
        pytest.param(
            "inductor",
            marks=[
                pytest.mark.long,
                pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler"),
            ],
        ),
    ],
)
def test_a_compiled_network_gives_the_same_maps_draws_and_gradients(backend: str) -> None:
    network = small(0)
    names, expected = list(network.state_dict()), as_it_is(network)
    (expected[1]["backbone"].square().mean() + expected[0].logits.sum()).backward()
    gradients = [parameter.grad for parameter in network.parameters()]
    running = {name: buffer.clone() for name, buffer in network.named_buffers()}

    network = small(0)
    compiled = compile_network(network, ["backbone", "logits"], backend=backend)
    torch.manual_seed(9)
    output, maps = compiled(images())
    (maps["backbone"].square().mean() + output.logits.sum()).backward()
    assert_close((output.logits, maps), (expected[0].logits, expected[1]))
    assert maps["backbone"].min() < 0  # before the activation that works in place
    given = [parameter.grad for parameter in network.parameters()]
    assert_close(given, gradients, rtol=1e-4, atol=1e-5)
    assert_close(dict(network.named_buffers()), running)
    assert list(network.state_dict()) == names
    assert not any(module._forward_hooks for module in network.modules())
    assert compiled.shares_tensors()


def test_networks_of_one_architecture_are_compiled_once_and_stay_apart() -> None:
    graphs = []

    def counting(graph: torch.fx.GraphModule, _: list[Tensor]) -> Callable[..., object]:
        graphs.append(graph)
        return graph.forward

    run = torch.compile(
        compile_network.__globals__["_run"],
        backend=counting,  # type: ignore[arg-type]
        dynamic=False,
    )
    for seed in range(3):
        network = small(seed)
        torch.manual_seed(9)
        output, maps = CompiledNetwork(network, ["backbone", "logits"], run)(images())
        expected = as_it_is(network)
        assert_close((output.logits, maps), (expected[0].logits, expected[1]))
    assert len(graphs) == 1
    for taps, count in (([], 2), (["logits"], 3), (["body.0"], 4), (["backbone", "logits"], 4)):
        _, maps = CompiledNetwork(network, taps, run)(images())
        assert list(maps) == taps
        assert len(graphs) == count
    set_taps(network, {"backbone": "body.0"})  # the same name for another module
    _, maps = CompiledNetwork(network, ["backbone"], run)(images())
    assert_close(maps["backbone"], network.get_submodule("body.0")(images()))


def test_a_network_that_replaces_a_buffer_no_longer_shares_it() -> None:
    compiled = compile_network(Replacing(), [], backend="eager")
    assert compiled.shares_tensors()
    compiled(images())
    assert not compiled.shares_tensors()


def test_a_compiled_teacher_gives_the_same_maps_and_other_sizes_run_as_before() -> None:
    teacher = FrozenTeacher(small(0), ["backbone"])
    teacher.prepare(images())
    expected, larger = teacher(images()), teacher(images(13))
    teacher.compile_for(images(), backend="eager")
    given = teacher(images())["backbone"]
    assert_close(given, expected["backbone"])
    assert not given.is_inference()
    assert_close(teacher(images(13)), larger)


def tried(gain: float, compiling_seconds: float, learner: str = "") -> Compiling:
    return Compiling(learner, True, "", 1.0, 1.0 - gain, compiling_seconds)


@pytest.mark.parametrize(
    ("mode", "each", "remaining", "compiled"),
    [
        ("auto", [tried(0.5, 40)], 100, [True]),  # pays after 80 steps, with the margin 100
        ("auto", [tried(0.5, 40)], 99, [False]),
        ("auto", [tried(-0.1, 0)], 10_000, [False]),
        ("auto", [tried(0.0, 0)], 10_000, [False]),
        ("on", [tried(-0.1, 40)], 1, [True]),
        # The first pays for all: 40 / (0.25 + 0.25) is 80 again.
        ("auto", [tried(0.25, 40), tried(0.25, 0)], 100, [True, True]),
        ("auto", [tried(0.5, 40), tried(-0.4, 0)], 100, [True, False]),
        ("auto", [Compiling("", False, "fails"), tried(0.5, 40)], 100, [False, True]),
    ],
)
def test_auto_compiles_where_it_pays_within_the_run(
    small: Make, mode: str, each: list[Compiling], remaining: int, compiled: list[bool]
) -> None:
    training = small(f"training.compile={mode}").training
    settled = _settled(each, training, remaining)
    assert [one.compiled for one in settled] == compiled


def test_the_numbers_of_a_decision_are_told(small: Make) -> None:
    (one,) = _settled([tried(0.25, 40)], small("training.compile=auto").training, 100)
    assert one.break_even_steps == 160
    assert one.reason == (
        "not compiled; its part of a step takes 750.0 ms instead of 1000.0; compiling took 40.0 s "
        "and pays after 160 steps, of 100 that remain"
    )


def test_the_largest_difference_counts_by_the_norm_and_takes_infinities_as_equal() -> None:
    inf, nan = float("inf"), float("nan")
    maps = {"a": torch.tensor([3.0, 4.0, -inf]), "b": torch.tensor([1.0])}
    assert largest_difference(maps, maps) == 0
    other = {"a": torch.tensor([3.0, 4.5, -inf]), "b": torch.tensor([1.0])}
    assert largest_difference(other, maps) == pytest.approx(0.1)
    assert largest_difference({**maps, "b": torch.tensor([nan])}, maps) != 0.0
    assert not largest_difference({**maps, "b": torch.tensor([nan])}, maps) <= 1


def compile_nothing(run: Callable[..., object], **_: object) -> Callable[..., object]:
    """In the place of torch.compile, which takes seconds for a network."""
    return run


def trained(
    config: RunConfig,
    out: Path,
    monkeypatch: pytest.MonkeyPatch,
    stand_in: Callable[..., object] = compile_nothing,
) -> tuple[dict[str, Tensor], list[str]]:
    """Train, and return the student and what was told about compiling."""
    monkeypatch.setattr("torch.compile", stand_in)
    monkeypatch.setattr(compiling, "_STEPS", 1)
    told = list[Event]()
    (run,) = run_cohort({"": config}, out, tell=told.append)
    notes = [event.text for event in told if isinstance(event, Note)]
    return load_file(student_file(run)), [note for note in notes if "training.compile" in note]


def refuse(*_: object, **named: object) -> None:
    """In the place of torch.compile where it does not work."""
    raise RuntimeError("no compiler\nand more")


def test_measuring_changes_no_bit_of_what_is_learnt(
    small: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = "training.ema=0.9", "training.optimizer=adamw", "training.steps=1"
    terms = [{"loss": "holistic"}]
    without, _ = trained(small(*words, distill=terms), tmp_path / "off", monkeypatch)
    monkeypatch.setattr(compiling, "SHORTEST_SECONDS", 0.0)
    monkeypatch.setattr(compiling, "MARGIN", float("inf"))
    auto = small(*words, "training.compile=auto", distill=terms)
    measured, notes = trained(auto, tmp_path / "auto", monkeypatch)
    assert all("not compiled; its part of a step takes" in note for note in notes)
    assert len(notes) == 2
    assert all(torch.equal(without[name], measured[name]) for name in without)


def test_a_compiled_run_learns_the_same_and_logs_its_numbers(
    small: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terms = [{"loss": "attention"}]
    config = small("training.steps=1", distill=terms)
    without, _ = trained(config, tmp_path / "off", monkeypatch)
    config = small("training.steps=1", "training.compile=on", distill=terms)
    compiled, _ = trained(config, tmp_path / "on", monkeypatch)
    assert_close(compiled, without)
    lines = compile_lines(read_metrics(tmp_path / "on"))
    assert [(line.network, line.compiled, line.step) for line in lines] == [
        ("teacher", True, 0),
        ("student", True, 0),
    ]
    assert all((line.compiled_seconds or 0) > 0 for line in lines)
    assert compile_lines(read_metrics(tmp_path / "off")) == []
    spent = read_result(tmp_path / "on").seconds
    assert spent > sum(line.compiling_seconds or 0 for line in lines)


def test_measuring_in_bfloat16_compiles_each_network_once(
    small: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = set()

    def noting(run: Callable[..., object], **_: object) -> Callable[..., object]:
        def noted(*args: object) -> object:
            images = args[-1]
            assert isinstance(images, Tensor)
            kinds.add((id(args[0]), images.dtype, torch.is_grad_enabled()))
            return run(*args)

        return noted

    words = "training.steps=1", "training.compile=on", "training.precision=bf16-mixed"
    trained(small(*words, distill=[{"loss": "attention"}]), tmp_path / "run", monkeypatch, noting)
    assert len(kinds) == 2  # teacher and student


def test_a_short_run_is_not_compiled(
    small: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small("training.compile=auto", "training.steps=1", distill=[])
    _, notes = trained(config, tmp_path / "run", monkeypatch, refuse)
    assert len(notes) == 1
    assert "student: not compiled; its part of the 1 steps that remain takes" in notes[0]


def test_where_compiling_fails_auto_goes_on_and_on_names_the_cause(
    small: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiling, "SHORTEST_SECONDS", 0.0)
    words = "training.steps=1", "training.compile=auto"
    _, notes = trained(small(*words, distill=[]), tmp_path / "auto", monkeypatch, refuse)
    assert len(notes) == 1
    assert "student: not compiled; torch.compile fails with RuntimeError: no compiler" in notes[0]
    words = "training.steps=1", "training.compile=on"
    with pytest.raises(ConfigError, match=r"training\.compile: .*the teacher.*no compiler"):
        trained(small(*words), tmp_path / "on", monkeypatch, refuse)


def test_a_resumed_run_may_be_compiled_otherwise(
    small: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small("training.compile=on", "training.steps=1", distill=[])
    trained(config, tmp_path / "run", monkeypatch)
    told = list[Event]()
    longer = small("training.steps=2", distill=[])
    run_cohort({"": longer}, tmp_path / "run", resume=True, tell=told.append)
    assert any("training.compile on (now off)" in str(event) for event in told)
    (line,) = compile_lines(read_metrics(tmp_path / "run"))
    assert line.compiled


@pytest.mark.parametrize("word", ["devices=2", "accumulate=2", "quantize=int8"])
def test_on_is_refused_where_steps_are_not_compiled(small: Make, word: str) -> None:
    with pytest.raises(ConfigError, match=rf"training\.compile: .*training\.{word}, got on"):
        small(f"training.{word}", "training.compile=on")
    assert small(f"training.{word}", "training.compile=auto").training.compile == "auto"


def test_a_cohort_is_not_compiled_if_one_of_it_is_rounded(small: Make, tmp_path: Path) -> None:
    words, told = ("training.compile=auto", "training.steps=1"), list[Event]()
    configs = {"plain": small(*words, distill=[])}
    configs["int8"] = small(*words, "training.quantize=int8", distill=[])
    run_cohort(configs, tmp_path / "cohort", tell=told.append)
    assert any("not compiled with training.quantize=int8" in str(event) for event in told)


def test_graphs_are_refused_without_a_gpu(small: Make) -> None:
    with pytest.raises(ConfigError, match=r"training\.compile: .*device=cpu, got graphs"):
        small("training.compile=graphs")
    with pytest.raises(ConfigError, match=r"training\.accumulate=2, got graphs"):
        small("training.device=auto", "training.accumulate=2", "training.compile=graphs")


def test_yamls_truth_values_are_words_here(small: Make) -> None:
    from_yaml = [small(f"training.compile={word}").training.compile for word in ("on", "off")]
    assert from_yaml == ["on", "off"]
    tree = small().tree()
    for value, word in ((True, "on"), (False, "off")):
        tree["training"]["compile"] = value
        assert check(tree).training.compile == word
    with pytest.raises(ConfigError, match=r"training\.compile: expected .*auto.*got 'always'"):
        check(override(tree, ["training.compile=always"]))


def test_the_default_leaves_the_hash_of_earlier_runs(small: Make) -> None:
    assert small("training.compile=off").hash() == small().hash()
    assert small("training.compile=auto").hash() != small().hash()
