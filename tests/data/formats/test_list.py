"""Lists of files: CSV and JSON lines, splits, absolute paths, missing masks."""

import gc
import json
import pickle
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from segdistill.data.formats.list import list as listing
from segdistill.data.stream import Stream
from segdistill.data.transforms import Recipe
from segdistill.errors import DataError

ROWS = [
    {"image": "train/images/0.png", "mask": "train/masks/0.png", "split": "train"},
    {"image": "train/images/1.png", "mask": "", "split": "val"},
    {"image": "train/images/2.png", "mask": "train/masks/2.png", "split": "val", "name": "two"},
]


def write_list(root: Path, kind: str) -> str:
    if kind == "jsonl":
        (root / "data.jsonl").write_text("\n".join(json.dumps(row) for row in ROWS) + "\n\n")
    else:
        lines = ["image,mask,split,name"]
        lines += [f"{r['image']},{r['mask']},{r['split']},{r.get('name', '')}" for r in ROWS]
        (root / "data.csv").write_text("\n".join(lines), encoding="utf-8-sig")
    return f"data.{kind}"


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_rows_of_a_split_are_read_in_their_order(tree: Path, kind: str) -> None:
    data = listing(split="val", root=tree, file=write_list(tree, kind))
    assert [data[i].name for i in range(2)] == ["train/images/1", "two"]
    assert data[0].mask is None
    assert data[1].mask is not None
    assert len(listing(split="train", root=tree, file=write_list(tree, kind))) == 1


def test_rows_without_a_split_are_in_every_split_and_paths_may_be_absolute(tree: Path) -> None:
    (tree / "data.csv").write_text(f"image\n{tree / 'train/images/3.png'}\n")
    data = listing(split="anything", root=tree)
    assert np.array_equal(data[0].image.shape, (20, 30, 3))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,mask,split\na.png,b.png,val\n", "expected rows of split train, got val"),
        ("picture\na.png\n", "expected a column image in each row"),
        ("image\nno.png\n", r"1 that are missing(.|\n)*no\.png"),
        ("", "expected rows of split train, got no rows"),
        ("image,mask,split\na.png\n", r"expected 3 cells in each row, got \['a.png'\] in row 1"),
        ("image,mask\na.png,b.png,train\n", "expected 2 cells in each row"),
        ("image,label,split\na.png,b.png,train\n", "got label and no mask; rename or remove them"),
        (
            "image,mask,subset\na.png,b.png,train\n",
            "got subset and no split; rename or remove them",
        ),
        ("image,name\na.png,../x\n", r"expected names without \.\. and root, got '\.\./x'"),
        ("image,name\na.png,x\nb.png,x\n", "one image per name, got a.png and b.png for 'x'"),
    ],
)
def test_refuses_a_list_that_cannot_be_read(tree: Path, text: str, message: str) -> None:
    (tree / "data.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        listing(split="train", root=tree)


def test_files_beside_the_root_are_answered_with_their_paths_from_it(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_list(tree, "csv")
    (tree / "classes.txt").rename(tree.parent / "names.txt")
    (tree / "data.csv").rename(tree.parent / "rows.csv")
    monkeypatch.chdir(tree.parent)
    root = Path(tree.name)
    with pytest.raises(DataError, match="of the working folder; give ") as refusal:
        listing(split="val", root=root, file="rows.csv", classes="names.txt")
    assert "data.file=../rows.csv data.classes=../names.txt" in str(refusal.value)
    assert len(listing(split="val", root=root, file="../rows.csv", classes="../names.txt")) == 2


def test_refuses_a_json_array_and_says_what_is_read(tree: Path) -> None:
    (tree / "x.json").write_text('[{"image": "train/images/0.png"}]')
    with pytest.raises(DataError, match="got a JSON array; write one object per line"):
        listing(split="train", root=tree, file="x.json")


@pytest.mark.parametrize("row", ["[1]", "3", '{"image": 3}', '{"image": "."}', '{"mask": "a"}'])
def test_refuses_a_row_without_an_image(tree: Path, row: str) -> None:
    (tree / "x.jsonl").write_text(f'{{"image": "train/images/0.png"}}\n{row}\n')
    with pytest.raises(DataError, match=r"x\.jsonl: expected a column image .* in row 2; give"):
        listing(split="train", root=tree, file="x.jsonl")


def test_refuses_a_missing_list_and_a_line_that_is_no_json(tree: Path) -> None:
    with pytest.raises(
        DataError,
        match=r"list: expected data\.csv and classes\.txt in .*got none; check data\.root",
    ):
        listing(split="train", root=tree)
    (tree / "x.jsonl").write_text('{"image": "a.png"}\nnot json\n')
    with pytest.raises(DataError, match=r"x\.jsonl:2: expected a JSON object, got 'not json"):
        listing(split="train", root=tree, file="x.jsonl")
    (tree / "x.jsonl").write_text('{"image": "a.png"}\n' + "[" * 100_000)
    with pytest.raises(
        DataError, match=r"x\.jsonl:2: expected a JSON object, got '\[\["
    ) as refused:
        listing(split="train", root=tree, file="x.jsonl")
    assert len(str(refused.value)) < 300


@pytest.mark.long
def test_a_list_of_20000_images_costs_less_than_50_mb(tree: Path) -> None:
    image = "leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit.png"
    mask = "gtFine/train/aachen/aachen_000000_000019_gtFine_labelIds.png"
    for file, there in ((image, "train/images/0.png"), (mask, "train/masks/0.png")):
        (tree / file).parent.mkdir(parents=True)
        (tree / file).symlink_to(tree / there)
    (tree / "data.csv").write_text("image,mask\n" + f"{image},{mask}\n" * 20_000)
    tracemalloc.start()
    stream = Stream(listing(split="train", root=tree), Recipe((8, 8)), 4, seed=0)
    for k in (0, 4_999, 5_000, 10_000):  # three epochs
        stream.batch(k)
    gc.collect()
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(stream.dataset) == 20_000
    assert kept < 50e6
    # What a worker that is spawned instead of forked is sent.
    assert len(pickle.dumps(stream)) < 10e6


def test_spaces_around_cells_and_further_columns_change_nothing(tree: Path) -> None:
    row = "train/images/0.png, train/masks/0.png, train, sunny"
    (tree / "data.csv").write_text(f"image, mask, split, weather\n{row}\n")
    sample = listing(split="train", root=tree)[0]
    assert sample.mask is not None
    with pytest.raises(DataError, match="expected rows of split val, got train"):
        listing(split="val", root=tree)


def test_names_stay_inside_the_folder_that_predictions_are_written_to(tree: Path) -> None:
    below = tree / "lists"
    below.mkdir()
    (below / "classes.txt").write_text("a\nb\nc\n")
    inside = below / "i.png"
    (tree / "train/images/0.png").rename(inside)
    other = tree / "train/images/1.png"
    (below / "data.csv").write_text(f"image\n{inside}\n{other}\n../train/images/2.png\n")
    names = [pair.name for pair in listing(split="train", root=below).pairs]
    assert names == ["i", other.with_suffix("").as_posix().lstrip("/"), "train/images/2"]


FORMS = {
    "tabs": "image\tmask\tsplit\n{0}\t{1}\ttrain\n",
    "semicolons": "image;mask;split\n{0};{1};train\n",
    "capitals": "Image,Mask,Split\n{0},{1},train\n",
    "no header": "{0},{1},train\n",
    "no header, no split": "{0},{1}\n",
    "spaces": "{0} {1}\n",
    "excel": "sep=;\nImage;Mask;Split\n{0};{1};train\n",
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("backslashes", [False, True])
def test_lists_of_other_tools_are_read(tree: Path, form: str, backslashes: bool) -> None:
    image, mask = "train/images/0.png", "train/masks/0.png"
    text = FORMS[form].format(image, mask)
    (tree / "data.csv").write_text(text.replace("/", "\\") if backslashes else text)
    data = listing(split="train", root=tree)
    assert [tuple(pair) for pair in data.pairs] == [("train/images/0", image, mask)]


def test_home_and_variables_are_filled_in(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tree))
    monkeypatch.setenv("PICTURES", str(tree / "train"))
    (tree / "data.csv").write_text("image,mask\n~/train/images/0.png,$PICTURES/masks/0.png\n")
    data = listing(split="train", root=tree, classes="~/classes.txt")
    assert data[0].mask is not None
    (tree / "data.csv").write_text("image\n$NOT_SET_HERE/0.png\n")
    with pytest.raises(DataError, match=r"in which \$NOT_SET_HERE is not set"):
        listing(split="train", root=tree)


def test_a_split_that_is_not_there_is_answered_with_those_that_are(tree: Path) -> None:
    (tree / "data.csv").write_text("image,split\na.png,train\nb.png,valid\n")
    with pytest.raises(DataError, match=r"got train, valid; name one of them in data\."):
        listing(split="val", root=tree)
