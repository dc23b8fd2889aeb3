"""Proposed splits keep neighbours together."""

import itertools

from segdistill.data.convert.splits import propose_splits, usual_split


def test_usual_spellings_are_three_splits() -> None:
    words = "valid instances_val2017 train-00000-of-00001 Testing photos trainee"
    assert [usual_split(word) for word in words.split()] == ["val", "val", "train", "test", "", ""]


def test_frames_of_one_video_are_cut_into_blocks() -> None:
    names = [f"frame{number}" for number in range(100)]
    splits, how = propose_splits(names[::-1])
    in_order = splits[::-1]
    changes = sum(a != b for a, b in itertools.pairwise(in_order))
    assert in_order.count("val") == 20
    assert changes <= 8  # four blocks of five frames
    assert "4 of 20 blocks of neighbouring names" in how


def test_whole_sequences_are_held_out_where_there_are_enough() -> None:
    names = [f"clip_{letter}_{number:03d}" for letter in "abcdefghij" for number in range(7)]
    splits, how = propose_splits(names)
    held = {name[:6] for name, split in zip(names, splits, strict=True) if split == "val"}
    kept = {name[:6] for name, split in zip(names, splits, strict=True) if split == "train"}
    assert len(held) == 2
    assert not held & kept
    assert "2 of 10 sequences" in how


def test_few_images_leave_one_on_each_side() -> None:
    assert sorted(propose_splits(["a", "b"])[0]) == ["train", "val"]
    assert propose_splits(["a"])[0] == ["train"]
