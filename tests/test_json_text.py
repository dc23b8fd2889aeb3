"""JSON that would nest without end is refused in one short line."""

import pytest

from segdistill.json_text import MOST_LEVELS, load_json


@pytest.mark.parametrize(
    "text",
    [
        "[" * 200_000,
        '{"a":' * 200_000,
        "[" * (MOST_LEVELS + 1) + "]" * (MOST_LEVELS + 1),
        '{"a": [1, {"b": ' + "[" * MOST_LEVELS + "]" * MOST_LEVELS + "}]}",
    ],
    ids=range(4),
)
def test_refuses_what_nests_too_deep(text: str) -> None:
    with pytest.raises(ValueError, match="nested in more than 100 levels") as refused:
        load_json(text)
    assert len(str(refused.value)) < 100


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("[]", []),
        (b'{"a": [1, {"b": null}], "c": "\\u00e9"}', {"a": [1, {"b": None}], "c": "é"}),
        ('"' + "[" * 500 + '"', "[" * 500),
    ],
)
def test_reads_what_json_reads(text: str | bytes, value: object) -> None:
    assert load_json(text) == value
    assert load_json("[" * MOST_LEVELS + "]" * MOST_LEVELS)


@pytest.mark.parametrize("text", ["", "{", "[1,]", b"\xff", "9" * 5000])
def test_refuses_what_is_no_json(text: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        load_json(text)
