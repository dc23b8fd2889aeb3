"""Mask files as arrays of the values that they store."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import ImageOps
from torchvision.io import ImageReadMode, decode_image

from segdistill.data.files.contents import TiffFacts, lossy_codec
from segdistill.data.files.decoding import (
    check_header,
    check_one_frame,
    may_turn,
    open_picture,
    png_depth,
    read_bytes,
    unreadable,
)
from segdistill.data.files.pixels import AS_STORED
from segdistill.data.files.wide_tiff import pillow_drops, read_tifffile
from segdistill.errors import DataError


def read_mask(path: Path, *, colors: bool = False) -> np.ndarray:
    """Read a mask file with the values that it stores.

    Palette files give their ids, unless colours are asked for; 1-bit files give 0 and 1, where
    1 is what a viewer shows white; 16-bit files keep their range; a TIFF whose 0 is shown white
    gives what it stores; transparency is dropped, and an EXIF note turns it as it does images.
    MATLAB files are those of SBD (``GTcls``), Pascal Context (``LabelMap``) and COCO-Stuff
    (``S``), which need scipy.

    Args:
        path: the file.
        colors: give the colours that the ids of a palette file stand for.

    Shape:
        Result ``(H, W)`` uint8 or int32, or ``(H, W, 3)`` uint8 for a file of colours.

    Raises:
        DataError: the file is missing, empty, cut off or no image, has several pages, or was
            written by a codec that changes values; it is named.
    """
    data = read_bytes(path)
    if path.suffix == ".mat":
        return _read_matlab(path)
    return mask_from_bytes(data, path, colors=colors)


def mask_from_bytes(data: np.ndarray, path: Path, *, colors: bool = False) -> np.ndarray:
    """Decode the content of a mask file that is no MATLAB file; see :func:`read_mask`.

    Args:
        data: the file's bytes, uint8.
        path: what messages call it.
        colors: give the colours that the ids of a palette file stand for.

    Raises:
        DataError: as for :func:`read_mask`.
    """
    facts = check_header(data, path)
    codec = lossy_codec(data)
    if codec:
        raise DataError(
            f"{path}: expected a losslessly stored mask, got {codec}, which mixes up ids; "
            "create the mask again as PNG, because converting this file does not restore it"
        )
    depth, kind = png_depth(data)
    # Greyscale (0) or palette (3) with 8 bits: torchvision scales fewer bits up to 255, and
    # does not turn masks.
    if depth == 8 and kind in (0, 3) and not may_turn(data) and not (colors and kind == 3):
        try:
            ids = decode_image(torch.from_numpy(data), mode=ImageReadMode.UNCHANGED)
        except RuntimeError as error:
            raise unreadable(path, error) from error
        if ids.shape[0] == 1:
            stored: np.ndarray = ids[0].numpy()
            return stored
    if facts is not None:
        _check_mask_bands(facts, path)
        if pillow_drops(facts, AS_STORED):
            wide = read_tifffile(data, path, facts)
            return wide[..., 0].astype(np.int32) if wide.shape[2] == 1 else wide[..., :3]
    with open_picture(path, data) as picture:
        check_one_frame(picture, path)
        try:
            upright = ImageOps.exif_transpose(picture)
            if upright.mode == "P" and colors:
                return np.array(upright.convert("RGB"))
            if upright.mode in ("1", "L", "P"):
                ids = np.array(upright).astype(np.uint8)
                if facts is not None and facts.photometric == 0 and upright.mode == "L":
                    # Pillow gives what is shown.
                    white = 2**facts.bits - 1
                    return np.asarray(white - ids // (255 // white), dtype=np.uint8)
                # Pillow scales 2 and 4 bits of grey up to 255 as well.
                return ids // (255 // (2**depth - 1)) if kind == 0 and depth in (2, 4) else ids
            if upright.mode.startswith("I"):
                return np.array(upright).astype(np.int32)
            if upright.mode == "LA":
                return np.array(upright.getchannel("L"))
            if upright.mode in ("CMYK", "YCbCr", "LAB", "HSV", "F"):
                raise DataError(
                    f"{path}: expected a mask of whole numbers or RGB colours, got "
                    f"{'floats' if upright.mode == 'F' else upright.mode}; store ids as 8-bit PNG"
                )
            return np.array(upright.convert("RGB"))
        except (OSError, ValueError, SyntaxError) as error:
            raise unreadable(path, error) from error


def _check_mask_bands(facts: TiffFacts, path: Path) -> None:
    if facts.kind in ("floats", "complex numbers") or (facts.bands > 1 and facts.bits > 8):
        raise DataError(
            f"{path}: expected a mask of whole numbers or 8-bit RGB colours, got "
            f"{facts.bands} × {facts.bits}-bit {facts.kind} per pixel; store ids as 8-bit PNG"
        )
    if facts.bands not in (1, 3, 4) and not (facts.bands == 2 and facts.extra[:1] in ((1,), (2,))):
        raise DataError(
            f"{path}: expected a mask of one band or RGB colours, got {facts.bands} bands; store "
            "the band of the ids as 8-bit PNG"
        )


def _read_matlab(path: Path) -> np.ndarray:
    try:
        from scipy.io import loadmat
    except ImportError as error:
        raise DataError(f"{path}: expected scipy to read it; pip install scipy") from error
    try:
        content = loadmat(path, variable_names=("GTcls", "LabelMap", "S"))
        for name in ("LabelMap", "S"):
            if name in content:
                stored: np.ndarray = content[name].astype(np.int32)
                return stored
        segmentation: np.ndarray = content["GTcls"]["Segmentation"][0, 0]
        return segmentation.astype(np.int32)
    except Exception as error:  # scipy raises whatever its parser meets in a broken file
        raise unreadable(path, error) from error
