"""Class files: every export gives the same classes, and what is none is refused."""

from pathlib import Path

import pytest

from segdistill.data.files.classes import read_classes
from segdistill.data.files.labels import ColorCode, IdCode, IdOrColorCode
from segdistill.errors import DataError

ID_FORMS = {
    "classes.txt": "background\nroad\ncar\n",
    "numbered.txt": "0 background\n1 road\n2 car\n",
    "named.txt": "background 0\nroad 1\ncar 2\n",
    "unsorted.txt": "2 car\n0 background\n1 road\n255 ignore\n",
    "tabs.tsv": "0\tbackground\n1\troad\n2\tcar\n",
    "ignored.txt": "background\nroad\ncar\nignore 11\n",
    "_classes.csv": "Pixel Value, Class\n0, background\n1, road\n2, car\n",
    "id_name.csv": "id,name,supercategory\n0,background,x\n1,road,y\n2,car,y\n",
    "name_only.csv": "name\nbackground\nroad\ncar\n",
    "labels.txt": "__ignore__\nbackground\nroad\ncar\n",
    "id2label.json": '{"0": "background", "1": "road", "2": "car"}',
    "config.json": '{"model": 1, "id2label": {"0": "background", "1": "road", "2": "car"}}',
    "label2id.json": '{"background": 0, "road": 1, "car": 2}',
    "names.json": '["background", "road", "car"]',
    "coco.json": '{"images": [], "categories": [{"id": 0, "name": "background"}, '
    '{"id": 1, "name": "road"}, {"id": 2, "name": "car"}]}',
    "data.yaml": "nc: 3\nnames: [background, road, car]\n",
    "ultralytics.yaml": "path: x\nnames:\n  0: background\n  1: road\n  2: car\n",
}
COLOR_FORMS = {
    "classes.txt": "sky 70 130 180\nroad 128 64 128\n",
    "semicolons.txt": "sky;70;130;180\nroad;128;64;128\n",
    "hex.txt": "sky #4682b4\nroad #804080\n",
    "class_dict.csv": "name,r,g,b\nsky,70,130,180\nroad,128,64,128\n",
    "excel.csv": "Name;Red;Green;Blue\nsky;70;130;180\nroad;128;64;128\n",
    "rgb.csv": 'label,color\nsky,"70,130,180"\nroad,"(128, 64, 128)"\n',
    "labelmap.txt": "# label:color_rgb:parts:actions\nsky:70,130,180::\nroad:128,64,128::\n",
    "list.json": '[{"name": "sky", "color": [70, 130, 180]}, '
    '{"name": "road", "color": [128, 64, 128]}]',
}


@pytest.mark.parametrize("name", ID_FORMS)
def test_every_form_of_names_and_ids_gives_the_same_classes(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(ID_FORMS[name], encoding="utf-8-sig")
    classes, code = read_classes(tmp_path / name)
    assert classes.names == ("background", "road", "car")
    assert isinstance(code, IdCode)
    void = {11: 255, 255: 255} if name == "ignored.txt" else {255: 255}
    assert code.ids == {0: 0, 1: 1, 2: 2, **void}


@pytest.mark.parametrize("name", COLOR_FORMS)
def test_every_form_of_names_and_colours_gives_the_same_classes(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(COLOR_FORMS[name])
    classes, code = read_classes(tmp_path / name)
    assert classes.names == ("sky", "road")
    assert isinstance(code, ColorCode)
    assert code.colors == {(70, 130, 180): 0, (128, 64, 128): 1}


def test_ids_that_leave_gaps_close_up_and_255_may_be_a_class(tmp_path: Path) -> None:
    file = tmp_path / "classes.csv"
    file.write_text("Pixel Value,Class\n0,background\n7,road\n255,car\n")
    classes, code = read_classes(file)
    assert classes.names == ("background", "road", "car")
    assert isinstance(code, IdCode)
    assert code.ids == {0: 0, 7: 1, 255: 2}


def test_a_file_with_ids_and_colours_reads_masks_of_either(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("id,name,r,g,b\n1,sky,70,130,180\n4,road,128,64,128\n")
    classes, code = read_classes(tmp_path / "c.csv")
    assert classes.colors == ((70, 130, 180), (128, 64, 128))
    assert isinstance(code, IdOrColorCode)
    assert code.ids.ids == {1: 0, 4: 1, 255: 255}
    assert code.colors.colors == {(70, 130, 180): 0, (128, 64, 128): 1}


@pytest.mark.parametrize(
    "text", ["lane 1\nlane 2\n", "zone 51\nroad\n", "traffic sign (front)\nx\n"]
)
def test_a_name_may_end_in_a_number_or_hold_marks(tmp_path: Path, text: str) -> None:
    (tmp_path / "classes.txt").write_text(text)
    classes, code = read_classes(tmp_path / "classes.txt")
    assert classes.names == tuple(text.splitlines())
    assert isinstance(code, IdCode)
    assert code.ids == {0: 0, 1: 1, 255: 255}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.txt", "<!DOCTYPE html>\n<html>\n", "expected one class per line.*got the name"),
        ("a.txt", "images/a.jpg\nimages/b.jpg\n", r"got the name 'images/a\.jpg'"),
        ("a.txt", "nc = 3\nnames = x\n", "got the name 'nc = 3'"),
        ("a.json", '{"0": "sky"', "got a broken file"),
        ("a.json", '{"images": [], "info": 3}', "expected ids and names.*keys images, info"),
        ("a.json", "[[1, 2], [3]]", "expected names of classes"),
        ("a.yaml", "nc: 3\ntrain: x\n", "expected ids and names.*keys nc, train"),
        ("a.txt", "0 sky\n0 road\n", "got 0 twice as an id"),
        ("a.csv", "id,name\n0,sky\nx,road\n", "an id from 0 to 65535 for each class or for none"),
        ("a.csv", "id,name\n0,sky,blue\n", r"expected 2 cells in each row \(id, name\)"),
        ("a.txt", "sky\nroad\nignore 1\n", "got 1, which is road by its line"),
        ("a.txt", "ignore\nsky\n", "expected a colour or an id for ignore"),
    ],
)
def test_what_is_no_class_file_is_refused(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=message):
        read_classes(tmp_path / name)
