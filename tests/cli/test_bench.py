"""bench: cost without data, and latency of a run or of a config."""

import json

import pytest

from segdistill.delivery.cost import count
from segdistill.training.trained_student import load_student

from .conftest import Cli, Trained


def test_cost_of_teacher_and_student_counted_two_ways(trained: Trained, cli: Cli) -> None:
    words = ["bench", "cost", "tiny.yaml", "--size", "64x96", "--json"]
    costs = json.loads(cli(*words).out)
    assert set(costs) == {"teacher", "student"}
    assert costs["student"]["gflops"] == 2 * costs["student"]["gmacs"]
    expected = count(load_student(trained.run).network, (64, 96))
    assert costs["student"]["params_m"] == expected.params_m
    assert costs["student"]["gmacs"] == expected.gmacs
    cirkd = json.loads(cli(*words, "--counter", "cirkd").out)
    assert cirkd["teacher"]["params_m"] == costs["teacher"]["params_m"]
    assert cirkd["teacher"]["gmacs"] != costs["teacher"]["gmacs"]


def test_auxiliary_heads_are_counted_where_asked(cli: Cli) -> None:
    words = ["bench", "cost", "tiny.yaml", "student.auxiliary=true", "--size", "64x96", "--json"]
    without, with_ = (json.loads(cli(*words, *more).out) for more in ([], ["--auxiliary"]))
    assert with_["student"]["params_m"] > without["student"]["params_m"]
    assert with_["student"]["gmacs"] > without["student"]["gmacs"]
    assert with_["teacher"] == without["teacher"]


def test_cost_needs_no_data_where_the_classes_are_known(cli: Cli) -> None:
    done = cli("bench", "cost", "camvid/students", "--size", "360x480")
    assert done.code == 0
    assert [line.split()[0] for line in done.out.splitlines()[2:]] == [
        "teacher",
        "student",
        "per",
        "next:",
    ]


def test_students_that_differ_are_counted_each(cli: Cli) -> None:
    words = ["cohort.plain={student: {width: 32}}", "--size", "64x96", "--json"]
    costs = json.loads(cli("bench", "cost", "tiny.yaml", *words).out)
    assert set(costs) == {"teacher", "plain", "kl"}
    assert costs["plain"]["params_m"] > costs["kl"]["params_m"]


def test_latency_of_a_run_each_way(trained: Trained, cli: Cli) -> None:
    words = ["--size", "32x48", "--passes", "2", "--no-compile", "--json"]
    done = cli("bench", "latency", trained.run, *words)
    found = json.loads(done.out)
    assert found["machine"]["torch"].startswith("torch ")
    ways = found["networks"]["student"]
    assert [(way["precision"], way["channels_last"]) for way in ways] == [
        ("fp32", False),
        ("fp32", True),
        ("bf16", True),
    ]
    assert all(way["median_ms"] > 0 and way["size"] == [32, 48] for way in ways)


def test_latency_of_a_configs_networks_in_words(cli: Cli) -> None:
    words = ["--size", "32x48", "--passes", "2", "--no-compile"]
    out = cli("bench", "latency", "tiny.yaml", *words).out
    assert "one image of 32x48, median and 10th to 90th percentile of 2 passes" in out
    rows = [line for line in out.splitlines()[4:] if not line.startswith("the machine was busy")]
    assert [line.split(",")[0] for line in rows] == ["teacher"] * 3 + ["student"] * 3


def test_where_torch_compile_does_not_work_it_says_so(
    trained: Trained, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_network: object) -> None:
        raise RuntimeError("no compiler\nand more")

    monkeypatch.setattr("torch.compile", refuse)
    done = cli("bench", "latency", trained.run, "--size", "32x48", "--passes", "1")
    assert done.code == 0
    assert "student: torch.compile does not work here: no compiler; on a CPU" in done.err
    assert done.out.count("student, ") == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["cost", "tiny.yaml", "--size", "64"], "--size: expected HEIGHTxWIDTH"),
        (
            ["cost", "tiny.yaml", "--counter", "thop"],
            "there is no 'thop'; choose one of: cirkd, torch",
        ),
        (["latency", "tiny.yaml", "--size", "0x9"], "--size: expected HEIGHTxWIDTH"),
        (
            ["latency", "tiny.yaml", "--device", "tpu"],
            "there is no 'tpu'; did you mean 'cpu'?",
        ),
        (["latency", "."], "expected the folder of a finished run"),
    ],
)
def test_wrong_use_is_refused(words: list[str], message: str, cli: Cli) -> None:
    done = cli("bench", *words)
    assert (done.code, done.out) == (2, "")
    assert message in done.err
