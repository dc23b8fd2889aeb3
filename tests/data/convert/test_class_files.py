"""Class files of other tools: names, ids and colours, and nothing that is none."""

from pathlib import Path

import pytest

from segdistill.data.convert.class_files import ClassRow, find_class_file, read_class_file
from segdistill.data.convert.export import Export
from segdistill.errors import DataError

COLORED = [ClassRow("sky", 0, (70, 130, 180)), ClassRow("big car", 1, (0, 0, 142))]
PLAIN = [ClassRow("sky", 0), ClassRow("big car", 1)]


@pytest.mark.parametrize(
    ("name", "text", "rows"),
    [
        ("class_dict.csv", "name,r,g,b\nsky,70,130,180\nbig car,0,0,142\n", COLORED),
        ("class_dict.csv", "name, red, green, blue\r\nsky,70,130,180\r\nbig car,0,0,142\r\n",
         COLORED),
        ("_classes.csv", "Pixel Value, Class\n0, sky\n1, big car\n", PLAIN),
        ("_classes.csv", "Pixel Value, Class\n1, big car\n0, sky\n", PLAIN),
        ("labelmap.txt", "# label:color_rgb:parts:actions\nsky:70,130,180::\nbig car:0,0,142::\n",
         COLORED),
        ("id2label.json", '{"0": "sky", "1": "big car"}', PLAIN),
        ("config.json", '{"id2label": {"0": "sky", "1": "big car"}, "hidden": 3}', PLAIN),
        ("label2id.json", '{"sky": 0, "big car": 1}', PLAIN),
        ("data.yaml", "nc: 2\nnames: [sky, big car]\n", PLAIN),
        ("labels.txt", "__ignore__\nsky\nbig car\n", PLAIN),
        ("classes.txt", "\ufeffsky\n\nbig car\n", PLAIN),
        ("classes.txt", "0 sky\n1 big car\n", PLAIN),
        ("classes.txt", "0: sky\n1: big car\n", PLAIN),
        ("classes.txt", "sky;70;130;180\nbig car;0;0;142\n", COLORED),
        ("classes.txt", "sky 70 130 180\nbig car 0 0 142\n", COLORED),
    ],
)  # fmt: skip
def test_reads_names_ids_and_colours(
    name: str, text: str, rows: list[ClassRow], tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert read_class_file(tmp_path / name) == rows


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("id2label.json", "{", "got a broken file"),
        ("id2label.json", "3", "expected names of classes"),
        ("data.yaml", "nc: 3\n", "expected ids and names.*got the keys nc"),
        ("_classes.csv", "0,1\n2,3\n", "expected one class per line"),
        ("class_dict.csv", "name,r,g,b\nsky,blue,1,2\n", "as the colour of sky, got blue 1 2"),
        ("classes.txt", "\n# nothing\n", "got no class"),
        ("classes.csv", "id,name\n0,sky\n,road\n", "an id for each class or for none.*road"),
    ],
)
def test_refuses_what_lists_no_classes(name: str, text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=f"{name}: .*{message}"):
        read_class_file(tmp_path / name)


def test_the_nearest_and_most_telling_file_is_taken(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    for name in ("train/class_dict.csv", "labels.txt", "id2label.json"):
        (tmp_path / name).write_text("")
    assert find_class_file(Export(tmp_path)) == Path("id2label.json")
