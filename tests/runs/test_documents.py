"""Documents: what is broken is named with file, line and key; formats are read or refused."""

import json
import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from segdistill.delivery.contract import read_contract
from segdistill.errors import CheckpointError, OverwriteError, RunFolderError
from segdistill.runs.confusion import read_confusion, read_image_counts
from segdistill.runs.documents import append_line, read_document, read_lines, write_document
from segdistill.runs.environment import Environment, read_environment
from segdistill.runs.layout import (
    ARGS,
    CHOSEN,
    CONFUSION,
    ENVIRONMENT,
    FAILED,
    FORMAT,
    IMAGE_COUNTS,
    MEASURED,
    METRICS,
    PLAN,
    PRUNED,
    RESULT,
    SETTINGS,
    STUDENT,
    STUDY,
    STUDY_RESULTS,
    TRIALS,
)
from segdistill.runs.measured import read_measured
from segdistill.runs.metrics import read_metrics
from segdistill.runs.plan import read_plan
from segdistill.runs.result import read_failure, read_pruned, read_result
from segdistill.runs.search import read_chosen
from segdistill.runs.settings import read_args, read_settings
from segdistill.runs.student import read_student
from segdistill.runs.study import read_study_results, read_study_settings
from segdistill.runs.trials import read_trials


@dataclass(frozen=True)
class Point:
    x: int
    names: tuple[str, ...] = ()


def test_a_record_comes_back_with_the_formats_number(tmp_path: Path) -> None:
    file = tmp_path / "point.json"
    write_document(file, Point(3, ("a", "b")))
    assert read_document(file, Point) == Point(3, ("a", "b"))
    assert json.loads(file.read_text())["format"] == FORMAT


def test_a_document_of_no_format_and_with_unknown_keys_is_read(tmp_path: Path) -> None:
    file = tmp_path / "point.json"
    file.write_text('{"x": 3, "colour": "red"}')
    assert read_document(file, Point) == Point(3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            f'{{"format": {FORMAT + 1}, "x": 3}}',
            f"expected format {FORMAT} or older, got 2;.*update",
        ),
        ('{"format": "new", "x": 3}', "expected format 1 or older, got 'new'"),
        ('{"x": 3', "expected JSON, got .*line 1 column 8"),
        ("[3]", "expected a JSON object, got list"),
        ('{"names": []}', "expected a value at 'x', got none; restore"),
        ('{"x": "far"}', "expected a valid integer, .* at 'x', got 'far'"),
        ('{"x": 3, "names": ["a", 4]}', "expected a valid string at 'names.1', got 4"),
        ("\udc80", "expected text, got"),
    ],
)
def test_a_broken_document_is_named_with_its_key(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "point.json"
    file.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(RunFolderError, match=rf"point\.json: {message}"):
        read_document(file, Point)


def test_a_document_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match=r"point\.json: expected a file .*, got none"):
        read_document(tmp_path / "point.json", Point)


def test_a_line_that_a_kill_cut_short_is_left_out_and_taken_away(tmp_path: Path) -> None:
    file = tmp_path / "points.jsonl"
    assert read_lines(file, Point) == []
    append_line(file, Point(1))
    with file.open("a") as out:
        out.write('{"x": 2, "na')
    assert read_lines(file, Point) == [Point(1)]
    append_line(file, Point(3))
    assert read_lines(file, Point) == [Point(1), Point(3)]


@pytest.mark.parametrize(
    ("line", "message"),
    [("{", "expected JSON, got"), ('{"x": null}', "expected a valid integer at 'x', got None")],
)
def test_a_broken_line_is_named_with_its_number(tmp_path: Path, line: str, message: str) -> None:
    file = tmp_path / "points.jsonl"
    append_line(file, Point(1))
    with file.open("a") as out:
        out.write(line + "\n")
    with pytest.raises(RunFolderError, match=rf"points\.jsonl, line 2: {message}"):
        read_lines(file, Point)


READERS: dict[str, Callable[[Path], object]] = {
    ARGS: read_args,
    CHOSEN: read_chosen,
    CONFUSION: read_confusion,
    ENVIRONMENT: read_environment,
    FAILED: read_failure,
    IMAGE_COUNTS: read_image_counts,
    MEASURED: read_measured,
    METRICS: read_metrics,
    PLAN: read_plan,
    PRUNED: read_pruned,
    RESULT: read_result,
    SETTINGS: read_settings,
    STUDY: read_study_settings,
    STUDY_RESULTS: read_study_results,
    TRIALS: read_trials,
}


DEEP = b"[" * 100_000 + b"\n"


@pytest.mark.parametrize(
    "content", [b"\x80\x00{", b"[1, 2\n", b'"text"\n', b'{"format": 7}\n', DEEP]
)
@pytest.mark.parametrize("name", READERS)
def test_no_broken_file_of_a_folder_ends_in_another_error(
    tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    with_format = content.startswith(b'{"format"')
    if with_format and name in (SETTINGS, STUDY):
        pytest.skip("a config has no format of its own: unknown keys are refused by name")
    with pytest.raises(RunFolderError, match=name.replace(".", r"\.")):
        READERS[name](tmp_path)


@pytest.mark.parametrize("value", [".nan", "-.inf", "!!set {a}", '!!int ""', "!!timestamp x"])
def test_settings_hold_what_json_holds(value: str, tmp_path: Path) -> None:
    (tmp_path / SETTINGS).write_text(f"training: {{steps: {value}}}\n")
    with pytest.raises(RunFolderError, match=r"resolved\.yaml: expected .*; restore"):
        read_settings(tmp_path)


def test_no_line_is_added_to_what_a_link_leads_to(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("first\nlast line without an end")
    (tmp_path / "points.jsonl").symlink_to(victim)
    with pytest.raises(OverwriteError, match=r"points\.jsonl: .* got a link to .*victim; remove"):
        append_line(tmp_path / "points.jsonl", Point(1))
    assert victim.read_text() == "first\nlast line without an end"


@pytest.mark.parametrize("shape", [(10**24,), (10**12,), (1, -3)], ids=range(3))
def test_counts_that_claim_to_be_larger_than_memory_are_named(
    shape: tuple[int, ...], tmp_path: Path
) -> None:
    header = str({"descr": "<i8", "fortran_order": False, "shape": shape}).encode().ljust(117)
    array = b"\x93NUMPY\x01\x00\x76\x00" + header + b"\n"
    with zipfile.ZipFile(tmp_path / IMAGE_COUNTS, "w") as arrays:
        arrays.writestr("counts.npy", array)
        arrays.writestr("names.npy", array)
    with pytest.raises(RunFolderError, match=r"confusion_images\.npz: expected .*; restore"):
        read_image_counts(tmp_path)


def test_metadata_that_nests_without_end_is_that_of_no_run(tmp_path: Path) -> None:
    file = tmp_path / STUDENT
    save_file({"a": np.zeros(1)}, file, metadata={"config": "[" * 100_000})
    with pytest.raises(CheckpointError, match="without network and classes in the metadata"):
        read_student(file)
    with pytest.raises(RunFolderError, match="expected metadata written by export"):
        read_contract("[" * 100_000, file)


@pytest.mark.parametrize("place", ["a folder", "a pipe", "a circle"])
def test_what_is_no_file_is_named_and_not_waited_for(place: str, tmp_path: Path) -> None:
    file = tmp_path / RESULT
    if place == "a folder":
        file.mkdir()
    elif place == "a pipe":
        os.mkfifo(file)
    else:
        file.symlink_to(file.name)
    with pytest.raises(RunFolderError, match=r"result\.json: expected a file, got .*restore"):
        read_document(file, Environment)
