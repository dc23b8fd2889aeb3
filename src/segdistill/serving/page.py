"""The page's server: takes an image, gives masks, and writes nothing."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from itertools import count
from pathlib import Path
from threading import Lock

import numpy as np
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from segdistill.data.files.decoding import open_picture
from segdistill.data.files.reading import image_from_bytes
from segdistill.data.pictures import encode_jpeg
from segdistill.errors import DataError, SegdistillError
from segdistill.types import Classes

OWN = "x-segdistill"
"""A header that our page sends: a page of another origin cannot without being asked first."""

_KEPT = 2  # images in memory: the one that is looked at, and one on its way
_PARTS = {"page.html": "text/html", "page.css": "text/css", "page.js": "text/javascript"}
_POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " + (
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


@dataclass(frozen=True)
class Model:
    """A model on the page: its name, and from an image uint8 (H, W, 3) to ids (H, W)."""

    name: str
    segment: Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Limits:
    """What an image may be: mebibytes as a file, and megapixels."""

    mib: float = 32.0
    megapixels: float = 24.0


@dataclass
class _Images:
    kept: OrderedDict[int, np.ndarray] = field(default_factory=OrderedDict)
    numbers: count[int] = field(default_factory=count)
    computing: Lock = field(default_factory=Lock)

    def keep(self, image: np.ndarray) -> int:
        number = next(self.numbers)
        self.kept[number] = image
        while len(self.kept) > _KEPT:
            self.kept.popitem(last=False)
        return number


def build_page(
    models: Sequence[Model], classes: Classes, *, hosts: Sequence[str], limits: Limits
) -> Starlette:
    """Return the server's application.

    Args:
        models: in the order of the page.
        classes: of all of them.
        hosts: names under which a browser may ask for the page; others are refused, so that no
            page elsewhere reaches it under a name of its own.
        limits: of an image.
    """
    images = _Images()

    def part(name: str) -> Response:
        text = files("segdistill.serving").joinpath(name).read_text(encoding="utf-8")
        return Response(text, media_type=_PARTS[name], headers=_HEADERS)

    def about(_request: Request) -> Response:
        named = [
            {"name": name, "color": list(color)}
            for name, color in zip(classes.names, classes.colors, strict=True)
        ]
        return JSONResponse({"models": [model.name for model in models], "classes": named})

    async def take(request: Request) -> Response:
        if OWN not in request.headers:
            return PlainTextResponse("expected a request of the page itself", 403)
        most = int(limits.mib * 2**20)
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > most:
                return PlainTextResponse(f"expected a file of at most {limits.mib:g} MiB", 413)
        try:
            image = await run_in_threadpool(_decode, bytes(body), limits)
        except DataError as error:
            return PlainTextResponse(str(error), 422)
        height, width = image.shape[:2]
        number = images.keep(image)
        return JSONResponse({"number": number, "height": height, "width": width})

    def give(request: Request) -> Response:
        image = images.kept.get(request.path_params["number"])
        if image is None:
            return _gone()
        return Response(encode_jpeg(image), media_type="image/jpeg", headers=_HEADERS)

    def mask(request: Request) -> Response:
        image = images.kept.get(request.path_params["number"])
        index = request.path_params["model"]
        if image is None or index >= len(models):
            return _gone()
        with images.computing:  # one after the other, so that each has the processor for itself
            began = time.perf_counter()
            try:
                ids = models[index].segment(image)
            except (SegdistillError, ValueError, RuntimeError, MemoryError) as error:
                return PlainTextResponse(f"{models[index].name}: {error}", 422)
            milliseconds = 1000 * (time.perf_counter() - began)
        return Response(
            ids.astype(np.uint8).tobytes(),
            media_type="application/octet-stream",
            headers=_HEADERS | {"x-milliseconds": f"{milliseconds:.1f}"},
        )

    return Starlette(
        routes=[
            Route("/", lambda _request: part("page.html")),
            Route("/about", about),
            Route("/images", take, methods=["POST"]),
            Route("/images/{number:int}", give),
            Route("/images/{number:int}/masks/{model:int}", mask),
            *(Route(f"/{name}", lambda _request, name=name: part(name)) for name in _PARTS),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))],
    )


def _decode(body: bytes, limits: Limits) -> np.ndarray:
    """Decode an image, unless its header says that it is too large."""
    data, name = np.frombuffer(body, np.uint8), Path("the image")
    if not len(data):
        raise DataError("expected an image, got 0 bytes")
    with open_picture(name, data) as picture:
        megapixels = picture.height * picture.width / 1e6
    if megapixels > limits.megapixels:
        raise DataError(
            f"expected an image of at most {limits.megapixels:g} megapixels, got {megapixels:.3g}"
        )
    return image_from_bytes(data.copy(), name)


def _gone() -> Response:
    return PlainTextResponse("expected an image that was given a moment ago; give it again", 404)
