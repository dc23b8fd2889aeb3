"""A study that grows trains only what is new, and its folder and page say that it grew."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.studies.conftest import SMALL

from segdistill.config import StudyConfig, check_study, override
from segdistill.errors import RunFolderError
from segdistill.runs.extensions import Extension, find_superseded, read_extensions
from segdistill.runs.identity import read_identity, write_identity
from segdistill.runs.layout import RESULT
from segdistill.runs.result import read_result
from segdistill.runs.search import read_chosen
from segdistill.runs.study import final_folder, find_final_runs, write_study_results
from segdistill.runs.trials import read_trials
from segdistill.studies import folder
from segdistill.studies.growth import find_extension, in_order_of, tell_extensions, tell_looks
from segdistill.studies.results import summarize_study
from segdistill.studies.runner import run_study
from segdistill.studies.verify import verify_study

pytestmark = pytest.mark.long  # whole runs

KL, LAD = [{"loss": "pixelwise_kl"}], [{"loss": "layer_angular"}]


def study(*words: str, **methods: object) -> StudyConfig:
    tree = SMALL | {"methods": methods or {"kl": KL}}
    return check_study(override(tree, ["training.steps=2", *words]))


BEFORE = ("search.trials=1", "seeds=1")
AFTER = ("search.trials=2", "seeds=2")


def scores(out: Path) -> dict[tuple[str, int, str], float]:
    return {
        (run.pair, run.seed, run.method): read_result(run.folder).miou
        for run in find_final_runs(out)
    }


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, set[Path]]:
    root = tmp_path_factory.mktemp("growth")
    run_study(study(*BEFORE), root / "grown")
    before = {file: file.stat().st_ino for file in (root / "grown").rglob(RESULT)}
    # The method that is new stands first in the file: nothing depends on that.
    kept = run_study(study(*AFTER, lad=LAD, kl=KL), root / "grown", resume=True)
    write_study_results(root / "grown", summarize_study(kept, root / "grown"))
    run_study(study(*AFTER, kl=KL, lad=LAD), root / "whole")
    same = {f for f, inode in before.items() if f.exists() and f.stat().st_ino == inode}
    return root / "grown", root / "whole", set(before) - same


def test_it_ends_as_if_it_had_been_that_large_at_once(grown: tuple[Path, Path, set[Path]]) -> None:
    out, whole, _ = grown
    assert scores(out) == scores(whole)
    assert read_chosen(out) == read_chosen(whole)
    key = ("method", "trial", "config_hash", "miou")
    tried = [sorted(tuple(getattr(t, k) for k in key) for t in read_trials(o)) for o in grown[:2]]
    assert tried[0] == tried[1]


def test_only_what_a_longer_search_chose_anew_was_trained_again(
    grown: tuple[Path, Path, set[Path]],
) -> None:
    out, _, gone = grown
    moved = {run.relative_to(out / "superseded" / "1") / RESULT for run in find_superseded(out)}
    assert moved == {file.relative_to(out) for file in gone}
    other = {m for m, choice in read_chosen(out)["student"].items() if choice.trial != 0}
    assert {run.name for run in find_superseded(out)} == other - {"lad"}


def test_the_folder_and_the_page_say_that_it_grew(grown: tuple[Path, Path, set[Path]]) -> None:
    (extension,) = read_extensions(grown[0])
    expected = Extension(seeds_before=1, seeds=(1,), methods=("lad",), trials=1, seen=True)
    assert replace(extension, time="") == expected
    said = " ".join(tell_extensions([extension], replaced=2))
    assert "extended by seed 1, method lad and 1 trial of each search, after results could" in said
    assert "2 final runs were trained again" in said
    assert "each of 2 looks had a 5 % chance" in " ".join(tell_looks([extension]))
    assert tell_looks([replace(extension, seen=False)]) == []
    assert tell_looks([Extension(seeds_before=1, methods=("cwd",), seen=True)]) == []


def test_verify_knows_growth(grown: tuple[Path, Path, set[Path]]) -> None:
    assert verify_study(grown[0]) == []


def test_growing_to_the_same_again_changes_nothing(
    grown: tuple[Path, Path, set[Path]],
) -> None:
    out = grown[0]
    before = scores(out)
    run_study(study(*AFTER, lad=LAD, kl=KL), out, resume=True)
    assert len(read_extensions(out)) == 1
    assert scores(out) == before


@pytest.mark.parametrize(
    ("words", "methods"),
    [
        (("training.lr=0.5",), {}),
        (("seeds=[0]",), {}),
        (("search.trials=0",), {}),
        ((), {"kl": [{"loss": "pixelwise_kl", "temperature": 2.0}]}),
        ((), {"lad": LAD}),
    ],
)
def test_what_is_changed_or_taken_away_is_no_growth(
    words: tuple[str, ...], methods: dict[str, object]
) -> None:
    before = study(*AFTER)
    after = study(*AFTER, *words, **methods)
    assert find_extension(before, in_order_of(before, after), seen=True) is None


def test_a_dry_run_of_growth_and_a_seed_of_the_search_are_refused(
    grown: tuple[Path, Path, set[Path]], tmp_path: Path
) -> None:
    out = grown[1]
    with pytest.raises(RunFolderError, match="would be extended by seed 2; leave --dry-run out"):
        run_study(
            study("search.trials=2", "seeds=3", kl=KL, lad=LAD), out, dry_run=True, resume=True
        )
    used = read_trials(out)[0].data_seed
    with pytest.raises(RunFolderError, match=f"seeds that the search did not use, got {used}"):
        run_study(
            study("search.trials=2", f"seeds=[0, 1, {used}]", kl=KL, lad=LAD), out, resume=True
        )
    assert read_extensions(out) == []
    assert final_folder(out, "student", 0, "kl").is_dir()


def test_a_study_whose_masks_have_changed_is_not_extended(
    grown: tuple[Path, Path, set[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = grown[1]
    known = read_identity(out)
    assert known is not None
    write_identity(out, replace(known, contents={**known.contents, "data.masks": "1" * 64}))
    monkeypatch.setattr(folder, "contents_of_split", lambda *_: {"data.masks": "2" * 64})
    larger = study("search.trials=2", "seeds=3", kl=KL, lad=LAD)
    with pytest.raises(RunFolderError, match=r"data.masks 111111111111 .now 222222222222"):
        run_study(larger, out, resume=True)
    write_identity(out, known)
    assert read_extensions(out) == []
