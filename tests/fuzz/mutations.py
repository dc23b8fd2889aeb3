"""Ways in which a file can be wrong; each draws from a generator, so that a seed repeats it."""

from __future__ import annotations

import hashlib
import io
import json
import os
import struct
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import yaml
from PIL import Image

Change = Callable[[bytes, Random], bytes]
"""From the content of a file to a wrong one."""

JUNK: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 3, 7, 0.5, -0.5, 1e-9, 1e300, 10**20, 2**63, float("nan"),
    float("inf"), "", " ", "junk", "0", "-1", "1e999", "../../escaped", "/dev/null", "é\u2028ß",
    "x" * 3000, "import:os:system", "file:missing.pt2", [], [None], [-1, 0], [[]], ["a", "a"], {},
    {"junk": 1}, {"": None}, {"a": {"b": {"c": []}}}, "\x00", "${UNSET}", "~nobody/x",
)  # fmt: skip
"""What may stand where a value is expected."""


def change(file: Path, draws: Random, *, named: bool = False) -> str:
    """Make a file wrong in one way, and return the way's name.

    Args:
        file: of a world.
        draws: decide what is done.
        named: whether the command's words name it; then a pipe may be waited for.
    """
    ways: list[tuple[str, Change | Callable[[Path, Random], None]]] = [
        (name, way) for name, way in PLACES.items() if not (named and name == "pipe")
    ]
    fitting = [*BYTES.items()]
    for suffixes, table in KINDS:
        if file.name.endswith(suffixes):
            fitting = [*table.items()] * 3 + fitting  # what parses goes further in
    name, way = draws.choice(fitting * 4 + ways)
    if name in PLACES:
        PLACES[name](file, draws)
        return name
    content = file.read_bytes()
    try:
        wrong = way(content, draws)  # type: ignore[arg-type,call-arg]
    except (ValueError, IndexError, KeyError, StopIteration, OSError):
        name, wrong = "cut", cut(content, draws)  # it has not the form that this way changes
    file.unlink()  # it may be one of several names of a file
    file.write_bytes(wrong)
    return name


def empty(content: bytes, draws: Random) -> bytes:
    return b""


def cut(content: bytes, draws: Random) -> bytes:
    return content[: draws.randrange(max(1, len(content)))]


def flip(content: bytes, draws: Random) -> bytes:
    changed = bytearray(content)
    for _ in range(draws.choice((1, 1, 4, 64))):
        changed[draws.randrange(len(changed))] ^= 1 << draws.randrange(8)
    return bytes(changed)


def insert(content: bytes, draws: Random) -> bytes:
    place = draws.randrange(len(content) + 1)
    return content[:place] + draws.randbytes(draws.choice((1, 3, 100))) + content[place:]


def take_away(content: bytes, draws: Random) -> bytes:
    place = draws.randrange(len(content) + 1)
    return content[:place] + content[place + draws.choice((1, 2, 8, 100)) :]


def repeat(content: bytes, draws: Random) -> bytes:
    return content + content


def zero(content: bytes, draws: Random) -> bytes:
    place = draws.randrange(len(content) + 1)
    length = len(content[place : place + 512])
    return content[:place] + bytes(length) + content[place + length :]


def noise(content: bytes, draws: Random) -> bytes:
    return draws.randbytes(draws.choice((1, 8, 100, 4000)))


def other_file(content: bytes, draws: Random) -> bytes:
    return draws.choice(
        (
            b"\x89PNG\r\n\x1a\n",
            b"PK\x03\x04",
            b"{}",
            b"[]",
            b"null",
            b"\xff\xfe{\x00}\x00",
            b"a: 1\n",
        )
    )


BYTES: dict[str, Change] = {
    each.__name__: each
    for each in (empty, cut, flip, insert, take_away, repeat, zero, noise, other_file)
}


def missing(file: Path, draws: Random) -> None:
    file.unlink()


def folder(file: Path, draws: Random) -> None:
    file.unlink()
    file.mkdir()


def dangling(file: Path, draws: Random) -> None:
    file.unlink()
    file.symlink_to("nowhere")


def circle(file: Path, draws: Random) -> None:
    file.unlink()
    file.symlink_to(file.name)


def pipe(file: Path, draws: Random) -> None:
    file.unlink()
    os.mkfifo(file)


PLACES: dict[str, Callable[[Path, Random], None]] = {
    each.__name__: each for each in (missing, folder, dangling, circle, pipe)
}


def paths(tree: Any) -> Iterator[tuple[Any, ...]]:
    """Yield the way to every value of a tree."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, below in items:
        yield (key,)
        if isinstance(below, dict | list):
            yield from ((key, *rest) for rest in paths(below))


def change_tree(tree: Any, draws: Random) -> Any:
    """Return a tree with one value replaced, taken away, doubled, renamed or moved."""
    changed = deepcopy(tree)
    ways = [*paths(changed)] if isinstance(changed, dict | list) else []
    if not ways:
        return draws.choice(JUNK)
    way = draws.choice(ways)
    inner = changed
    for step in way[:-1]:
        inner = inner[step]
    kind = draws.choice(("junk", "junk", "junk", "gone", "renamed", "near", "wrapped", "top"))
    old = inner[way[-1]]
    if kind == "top":
        return draws.choice((draws.choice(JUNK), [changed], {"a": changed}))
    if kind == "gone":
        del inner[way[-1]]
    elif kind == "renamed" and isinstance(inner, dict):
        inner[draws.choice((f"{way[-1]}x", "junk", "", 1))] = inner.pop(way[-1])
    elif kind == "near" and isinstance(old, int | float) and not isinstance(old, bool):
        inner[way[-1]] = draws.choice((-old, old + 1, old / 3, str(old), [old], 0))
    elif kind == "wrapped":
        inner[way[-1]] = draws.choice(([old], {"a": old}, str(old), [old, old]))
    else:
        inner[way[-1]] = draws.choice(JUNK)
    return changed


def _changed(text: str, draws: Random) -> str:
    return json.dumps(change_tree(json.loads(text), draws))


def json_tree(content: bytes, draws: Random) -> bytes:
    return _changed(content.decode(), draws).encode()


def deepen(text: str, draws: Random) -> str:
    """Put lists or objects in which a parser would drown in place of a value, or of everything."""
    levels = draws.choice((200, 900, 100_000))
    deep = draws.choice(("[" * levels + "]" * levels, '{"a":' * levels + "1" + "}" * levels))
    tree = json.loads(text)
    ways = [*paths(tree)] if isinstance(tree, dict | list) else []
    if not ways or draws.random() < 0.3:
        return deep
    *way, last = draws.choice(ways)
    inner = tree
    for step in way:
        inner = inner[step]
    inner[last] = "here"
    return json.dumps(tree).replace('"here"', deep)


def nested(content: bytes, draws: Random) -> bytes:
    return deepen(content.decode(), draws).encode()


def nested_line(content: bytes, draws: Random) -> bytes:
    lines = content.decode().splitlines()
    place = draws.randrange(len(lines))
    lines[place] = deepen(lines[place], draws)
    return ("\n".join(lines) + "\n").encode()


def json_line(content: bytes, draws: Random) -> bytes:
    lines = content.decode().splitlines()
    place = draws.randrange(len(lines))
    lines[place] = _changed(lines[place], draws)
    return ("\n".join(lines) + "\n").encode()


def yaml_tree(content: bytes, draws: Random) -> bytes:
    tree = change_tree(yaml.safe_load(content), draws)
    return yaml.safe_dump(tree, sort_keys=False, allow_unicode=True).encode()


def yaml_text(content: bytes, draws: Random) -> bytes:
    snippet = draws.choice(
        ("\t", ": :", "!!python/object:os.system {}", "&a [*a]", "<<: *x", "? [a]", "- -", "{", "@")
    )
    place = draws.randrange(len(content) + 1)
    return content[:place] + snippet.encode() + content[place:]


def yaml_tag(content: bytes, draws: Random) -> bytes:
    """Name a type that a value has not, or that no config has."""
    lines = content.decode().splitlines()
    place = draws.choice([place for place, line in enumerate(lines) if ": " in line])
    tag = draws.choice(
        ("int", "float", "bool", "null", "timestamp", "set", "omap", "binary", "map")
    )
    value = draws.choice(('""', "_", "x", "0x", "-", ".nan", "1e400", "[1]", "{1: 2}", "{a: b}"))
    lines[place] = f"{lines[place].partition(': ')[0]}: !!{tag} {value}"
    return ("\n".join(lines) + "\n").encode()


def text_line(content: bytes, draws: Random) -> bytes:
    lines = content.decode().splitlines()
    place = draws.randrange(len(lines))
    kind = draws.choice(("gone", "twice", "junk", "word", "blank", "shuffled"))
    if kind == "gone":
        del lines[place]
    elif kind == "twice":
        lines.insert(place, lines[place])
    elif kind == "junk":
        lines[place] = str(draws.choice(JUNK))
    elif kind == "word":
        words = lines[place].split(draws.choice((" ", ",", ":", ";")))
        words[draws.randrange(len(words))] = str(draws.choice(JUNK))
        lines[place] = draws.choice((" ", ",", "\t")).join(words)
    elif kind == "blank":
        lines.insert(place, "")
    else:
        draws.shuffle(lines)
    return "\n".join(lines).encode()


def encoding(content: bytes, draws: Random) -> bytes:
    return content.decode().encode(draws.choice(("utf-16", "utf-32", "utf-8-sig")))


def picture(content: bytes, draws: Random) -> bytes:
    """Encode an image in another mode or size, or with other values."""
    image = Image.open(io.BytesIO(content))
    kind = draws.choice(("mode", "size", "values", "format", "frames"))
    if kind == "mode":
        mode = draws.choice(("1", "L", "LA", "P", "RGBA", "I;16", "I", "RGB"))
        image = image.convert("L").convert(mode) if mode == "I;16" else image.convert(mode)
    elif kind == "size":
        image = image.resize(draws.choice(((1, 1), (1, 300), (300, 1), (2, 2), (33, 47))))
    elif kind == "values":
        value = draws.choice((0, 1, 2, 3, 128, 254, 255))
        array = np.array(image)
        array[: draws.choice((1, len(array)))] = value
        image = Image.fromarray(array)
    out = io.BytesIO()
    if kind == "format":
        image.convert("RGB").save(out, draws.choice(("JPEG", "BMP", "GIF", "TIFF", "WEBP")))
    elif kind == "frames":
        other = image.resize((5, 5))
        image.save(out, "GIF", save_all=True, append_images=[other])
    else:
        image.save(out, "PNG")
    return out.getvalue()


def png_header(content: bytes, draws: Random) -> bytes:
    """Claim another size or depth in a PNG file's header."""
    wide, high = draws.choice(((0, 0), (1, 2**31 - 1), (60_000, 60_000), (20_000, 9_000)))
    return content[:16] + struct.pack(">II", wide, high) + content[24:]


def safetensors_header(content: bytes, draws: Random) -> bytes:
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    if draws.random() < 0.5 and "__metadata__" in header:
        metadata = header["__metadata__"]
        key = draws.choice([*metadata])
        try:
            way = draws.choice((deepen, _changed))
            metadata[key] = way(metadata[key], draws)
        except ValueError:
            metadata[key] = str(draws.choice(JUNK))
    else:
        header = change_tree(header, draws)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + content[8 + length :]


def tensors_not_finite(content: bytes, draws: Random) -> bytes:
    (length,) = struct.unpack("<Q", content[:8])
    values = np.frombuffer(content[8 + length :], np.uint8).copy()
    values[len(values) // 2 :] = 255
    return content[: 8 + length] + values.tobytes()


def sealed(content: bytes, draws: Random) -> bytes:
    """Change a checkpoint's body, and put the hash right that stands before it."""
    import torch

    body = content[32:]
    if draws.random() < 0.3:
        body = draws.choice((flip, cut, zero, noise))(body, draws)
    else:
        state = torch.load(io.BytesIO(body), map_location="cpu", weights_only=True)
        ways = [way for way in paths(state) if len(way) < 5]
        way = draws.choice(ways)
        inner = state
        for step in way[:-1]:
            inner = inner[step]
        if draws.random() < 0.5:
            del inner[way[-1]]
        else:
            inner[way[-1]] = draws.choice((*JUNK[:16], torch.zeros(2), torch.tensor(float("nan"))))
        buffer = io.BytesIO()
        torch.save(state, buffer)
        body = buffer.getvalue()
    return hashlib.sha256(body).digest() + body


def pickled(content: bytes, draws: Random) -> bytes:
    """Change what torch wrote into a weight file."""
    import torch

    state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    key = draws.choice([*state])
    other = draws.choice(("gone", "shape", "junk", "nested", "nan", "half", "list"))
    if other == "gone":
        del state[key]
    elif other == "shape":
        state[key] = torch.zeros(3, 1)
    elif other == "junk":
        state[key] = draws.choice(JUNK)
    elif other == "nested":
        state = {draws.choice(("state_dict", "model", "junk")): state}
    elif other == "nan":
        state[key] = state[key] * float("nan")
    elif other == "half":
        state = {name: value.half() for name, value in state.items()}
    else:
        state = list(state.values())
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def array(content: bytes, draws: Random) -> bytes:
    """Replace an array of an NPZ or NPY file by one of another shape or type."""
    wrong = draws.choice(
        (
            np.zeros((0,)),
            np.zeros((3, 3), complex),
            np.array(["a", "b"]),
            np.full((2, 2, 2), -1),
            np.array([{"a": 1}], dtype=object),
            np.array(1.0),
        )
    )
    loaded = np.load(io.BytesIO(content), allow_pickle=False)
    out = io.BytesIO()
    if isinstance(loaded, np.ndarray):
        np.save(out, wrong)
    else:
        arrays = {name: loaded[name] for name in loaded.files}
        name = draws.choice([*arrays])
        if draws.random() < 0.3:
            del arrays[name]
        else:
            arrays[name] = wrong
        np.savez(out, **arrays)
    return out.getvalue()


def _table(*changes: Change) -> dict[str, Change]:
    return {each.__name__: each for each in changes}


_TEXT = _table(text_line, encoding)
KINDS: tuple[tuple[tuple[str, ...], dict[str, Change]], ...] = (
    ((".json",), _table(json_tree, nested, encoding)),
    ((".jsonl",), _table(json_line, nested_line, text_line)),
    ((".yaml", ".yml"), _table(yaml_tree, yaml_text, yaml_tag, encoding)),
    ((".txt", ".csv", ".xml"), _TEXT),
    ((".png", ".jpg"), _table(picture, png_header)),
    ((".safetensors",), _table(safetensors_header, tensors_not_finite)),
    ((".pt",), _table(sealed)),
    ((".pth",), _table(pickled)),
    ((".npz", ".npy"), _table(array)),
)
"""Ways for files whose names end so, beside those of any file."""
