"""YAML that would grow, nest or count without end is refused in one short line."""

import time
from pathlib import Path

import pytest
import yaml

from segdistill.config import load_yaml, override, read_tree
from segdistill.errors import ConfigError


def bomb(levels: int = 9) -> str:
    """Nine references to nine references: 3 billion values in 400 characters."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    for i in range(1, levels):
        lines.append(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]")
    return "\n".join(lines)


def merging(levels: int = 12) -> str:
    lines = ["a0: &a0 {k: 1, l: 2}"]
    for i in range(1, levels):
        lines.append(f"a{i}: &a{i}\n  <<: [{', '.join([f'*a{i - 1}'] * 9)}]")
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (bomb(), "at most 50,000 values, aliases written out"),
        (merging(), "at most 50,000 values, aliases written out"),
        ("a: &a [*a]", "alias of what it stands in"),
        ("a: &a {b: *a}", "alias of what it stands in"),
        ("[" * 100_000, "at most 40 levels"),
        ("{a: " * 3000, "at most 40 levels"),
        ("- " * 3000, "at most 40 levels"),
        ("\n".join("  " * i + "a:" for i in range(500)), "at most 40 levels"),
        ("a: " + "9" * 5000, "integers of at most 63 bits, got 99999999999999999999..."),
        ("a: 0x" + "f" * 5000, "integers of at most 63 bits"),
        ("a: " + "1:" * 2000 + "1", "integers of at most 63 bits"),
        ("a: 18446744073709551616", "integers of at most 63 bits, got 18446744073709551616"),
        ("a: " + "x" * 1_500_000, "at most 1,000,000 characters, got 1,500,003"),
        ("a: [" + "1," * 450_000 + "]", "at most 50,000 values"),
        ("a: !!python/object/apply:os.system [touch ran]", "expected YAML"),
        ("a: [1", "expected YAML"),
        ("a: \0", "expected YAML"),
        ("a: 1\nb: 2\na: 3", "each key once in the mapping at line 1, got 'a' several times"),
        ("a:\n  b: 1\n  b: 1", "each key once in the mapping at line 2, got 'b' several times"),
    ],
    ids=range(19),
)
def test_refuses_in_one_line_and_at_once(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(text)
    start = time.process_time()
    with pytest.raises(ConfigError, match=message) as refused:
        read_tree(file)
    assert time.process_time() - start < 20  # seconds where a bomb would take hours
    said = str(refused.value)
    assert said.startswith(f"{file}: ")
    assert "\n" not in said
    assert len(said) < 400 + len(str(file))


def test_an_override_is_bounded_as_a_file_is() -> None:
    with pytest.raises(ConfigError, match="at most 40 levels"):
        override({}, ["a.b=" + "[" * 100])
    with pytest.raises(ConfigError, match="63 bits"):
        override({}, ["a.b=" + "9" * 100])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('!!int ""', "type that its tag !!int names at line 2, got ''"),
        ("!!int _", "type that its tag !!int names at line 2, got '_'"),
        ("!!int 0x", "tag !!int"),
        ("!!int [1]", "expected YAML, got expected a scalar node"),
        ('!!float ""', "tag !!float"),
        ("!!float 1:x", "tag !!float"),
        ("!!bool x", "tag !!bool names at line 2, got 'x'"),
        ("!!bool ''", "tag !!bool"),
        ("!!str [a]", "expected a scalar node"),
        ("!!seq x", "expected a sequence node"),
        ("!!map x", "expected a mapping node"),
        ("{[a]: 1}", "unhashable key"),
        *((f"!!{tag} x", f"constructor for the tag '.*{tag}'") for tag in ("timestamp", "binary")),
        *((f"!!{tag} {{b}}", f"constructor for the tag '.*{tag}'") for tag in ("set", "omap")),
        ("=", "constructor for the tag"),
    ],
)
def test_refuses_a_tag_that_the_value_or_json_has_not(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as refused:
        load_yaml(f"first: 1\na: {text}")
    assert "\n" not in str(refused.value)
    with pytest.raises(ConfigError, match=f"a YAML value after '='.*{message.split(' names')[0]}"):
        override({}, [f"a.b={text}"])


def test_tags_that_hold_are_read_and_dates_are_text() -> None:
    text = "a: !!int 0x1f\nb: !!float 1\nc: !!str 1\nd: !!bool yes\ne: 2001-12-14\nf: !!null x"
    expected = {"a": 31, "b": 1.0, "c": "1", "d": True, "e": "2001-12-14", "f": None}
    assert load_yaml(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "a: 1", "a: &a {b: [1, 2.5, true, null, x]}\nc: *a\nd: {<<: *a, e: -0x1f}", "a: 1_000"],
)
def test_reads_what_yaml_reads(text: str) -> None:
    assert load_yaml(text) == yaml.safe_load(text)
