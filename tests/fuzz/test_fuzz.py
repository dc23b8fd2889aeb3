"""Commands that meet something wrong succeed or say so in one message."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from segdistill.cli import build_app

from . import judge, world
from .running import observe, run_case
from .targets import TARGETS, parts

# How many of each; what trains, draws or analyses is left to the benchmark.
CASES = {
    "config": 40,
    "run": 10,
    "finished run": 8,
    "half a run": 1,
    "diverged run": 12,
    "runs": 12,
    "pack": 40,
    "photos": 25,
    "list": 26,
    "weights": 2,
    "folder of a library": 16,
    "export of a tool": 36,
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("world")
    world.build(root, lambda words: CliRunner().invoke(build_app(), words).exit_code, study=False)
    return root


@pytest.mark.long
@pytest.mark.parametrize("target", CASES)
def test_a_wrong_file_is_answered(target: str, base: Path, tmp_path: Path) -> None:
    wrong = []
    for number in range(CASES[target]):
        case, outcome = run_case(target, number, base, tmp_path / str(number))
        found = judge.faults(outcome)
        if found:
            wrong.append(f"{target} {number}: {case.file}, {case.way}: {outcome.command}: {found}")
    assert not wrong, "\n".join(wrong)


def test_every_target_is_here_or_slow() -> None:
    assert CASES.keys() == {name for name, target in TARGETS.items() if not target.slow}
    assert sum(CASES.values()) >= 200


_WORDS = """
run.yaml trained photos nowhere - -- --json --help --out out --format --split val --size 32x32 0x0
1e9x1 --trust import:os:system training.lr=nan student.width= student={} a=b = data.root=/dev/null
[ é training.steps=-1 evaluation.scales=[] distill=[{loss:nothing}] --resume --x
"""
_COMMANDS = """
list|losses list|taps recipes|list recipes|copy recipes|schema list|backbones bench|cost report
verify convert init pack predict evaluate export check list bench studdy train distill study search
"""


@pytest.fixture(scope="module")
def place(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("words") / "world"
    world.copy(base, folder, parts("run", base))
    return folder


@seed(0)
@settings(
    max_examples=30,
    deadline=None,
    database=None,
    phases=[Phase.generate],  # the words are few: there is nothing to shrink
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    command=st.sampled_from(_COMMANDS.split()),
    words=st.lists(st.sampled_from(_WORDS.split()), max_size=4),
)
def test_wrong_words_are_answered(command: str, words: list[str], place: Path) -> None:
    line = [*command.split("|"), *words]
    if line[0] in ("train", "distill", "study", "search", "check", "export", "evaluate", "predict"):
        line.append("training.no_such_key=1")  # what is right would take seconds
    outcome = observe(line, place, ".")
    assert not judge.faults(outcome), (outcome.command, outcome.err)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda: None, ""),
        (lambda: 1 / 0, "blamed somebody's code"),
        (lambda: Path("../strayed.txt").write_text("a"), "wrote strayed.txt"),
        (lambda: Path("out/.a.1.tmp").write_text("a"), "left "),
    ],
)
def test_the_judge_finds_what_is_planted(
    change: Callable[[], object], fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def planted() -> int:
        change()
        return 0

    (tmp_path / "world" / "out").mkdir(parents=True)
    monkeypatch.setattr("segdistill.cli.list_losses.print_rows", lambda *given, **named: planted())
    found = judge.faults(observe(["list", "losses"], tmp_path / "world"))
    assert (" ".join(found)).startswith(fault) if fault else not found
