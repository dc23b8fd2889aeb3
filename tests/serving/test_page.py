"""The page: what it takes and refuses, and its use in a real browser."""

import json
import re
import shutil
import socket
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

import uvicorn
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from segdistill.data.pictures import encode_jpeg, write_image
from segdistill.serving.page import Limits, Model, build_page
from segdistill.types import Classes

CLASSES = Classes(("road", "sky", "car"), ((128, 64, 128), (70, 130, 180), (0, 0, 142)))
SIZE = (60, 90)
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")


def halves(image: np.ndarray) -> np.ndarray:
    ids = np.zeros(image.shape[:2], np.uint8)
    ids[: len(ids) // 2] = 1
    return ids


def with_a_car(image: np.ndarray) -> np.ndarray:
    ids = halves(image)
    ids[45:, :9] = 2  # 15 x 9 of 60 x 90: 2.5 %
    return ids


def broken(image: np.ndarray) -> np.ndarray:
    raise ValueError("expected an image that suits it")


def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(60, 200, (*SIZE, 3), dtype=np.uint8)


ACT = """
const found = {errors: [], resources: null};
addEventListener("error", event => found.errors.push(String(event.message)));
addEventListener("securitypolicyviolation", event => found.errors.push(event.blockedURI));
const wait = test => new Promise(done => {
  const again = setInterval(() => { if (test()) { clearInterval(again); done(); } }, 20);
});
const at = (canvas, x, y) =>
  [...canvas.getContext("2d").getImageData(x, y, 1, 1).data].slice(0, 3);
const set = (id, value) => {
  document.getElementById(id).value = value;
  document.getElementById(id).dispatchEvent(new Event("input"));
};
const root = document.documentElement;
(async () => {
  await wait(() => root.dataset.ready);
  const blob = await (await fetch("photo")).blob();
  const transfer = new DataTransfer();
  transfer.items.add(new File([blob], "photo.jpg"));
  dispatchEvent(new DragEvent("drop", {dataTransfer: transfer, cancelable: true}));
  await wait(() => root.dataset.shown || document.getElementById("error").textContent);
  const canvases = [...document.querySelectorAll("#panels canvas")];
  found.captions = [...document.querySelectorAll("figcaption")].map(one => one.innerText);
  set("opacity", "1");
  found.opaque = [at(canvases[1], 5, 5), at(canvases[1], 2, 55), at(canvases[2], 2, 55)];
  found.differ = [at(canvases[3], 2, 55), at(canvases[3], 60, 30)];
  document.querySelectorAll("#legend button")[2].click();
  found.pressed = [...document.querySelectorAll("#legend button")]
    .map(one => one.getAttribute("aria-pressed"));
  found.hidden = at(canvases[1], 2, 55);
  found.input = at(canvases[0], 2, 55);
  set("line", "0.25");
  found.clip = document.getElementById("above").style.clipPath;
  found.status = document.getElementById("status").textContent;
  found.failure = document.getElementById("error").textContent;
  found.overflow = root.scrollWidth - root.clientWidth;
  found.foreign = performance.getEntriesByType("resource").map(one => one.name)
    .filter(name => !name.startsWith(location.origin));
  parent.postMessage(JSON.stringify(found), "*");
})();
"""

PHONE = """<!doctype html><body><iframe src="acted" style="border: 0; width: 390px; height: 844px">
</iframe><script src="hear.js"></script></body>"""

HEAR = """
addEventListener("message", event => {
  const result = document.createElement("output");
  result.id = "found";
  result.textContent = event.data;
  document.body.append(result);
});
"""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Serve the page, and beside it what drives it, in a thread."""
    models = [Model("teacher", with_a_car), Model("plain", halves), Model("broken", broken)]
    page = build_page(
        models[:2], CLASSES, hosts=["127.0.0.1"], limits=Limits(mib=0.05, megapixels=0.01)
    )
    failing = build_page(models[1:], CLASSES, hosts=["127.0.0.1"], limits=Limits())
    page.mount("/failing", failing)
    own = next(route for route in page.routes if getattr(route, "path", "") == "/")

    async def acted(request: Request) -> Response:
        answer = own.endpoint(request)
        html = answer.body.decode().replace("</body>", '<script src="act.js"></script></body>')
        policy = {"content-security-policy": answer.headers["content-security-policy"]}
        return Response(html, headers=policy, media_type="text/html")

    def fixed(body: str | bytes, kind: str) -> object:
        return lambda _request: Response(body, media_type=kind)

    page.routes.extend(
        [
            Route("/acted", acted),
            Route("/act.js", fixed(ACT, "text/javascript")),
            Route("/hear.js", fixed(HEAR, "text/javascript")),
            Route("/phone", fixed(PHONE, "text/html")),
            Route("/photo", fixed(encode_jpeg(picture()), "image/jpeg")),
        ]
    )
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(page, log_level="error", lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join()


def ask(
    url: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> tuple[int, bytes]:
    own = {"x-segdistill": "1"} if headers is None else headers
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, own)) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_an_image_goes_in_and_masks_come_out(address: str, tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", picture())
    code, body = ask(f"{address}/images", (tmp_path / "a.png").read_bytes())
    told = json.loads(body)
    assert (code, told["height"], told["width"]) == (200, *SIZE)
    code, mask = ask(f"{address}/images/{told['number']}/masks/0")
    assert code == 200
    ids = np.frombuffer(mask, np.uint8).reshape(SIZE)
    assert np.array_equal(ids, with_a_car(picture()))
    assert ask(f"{address}/images/{told['number']}/masks/2")[0] == 404
    assert ask(f"{address}/images/999")[0] == 404


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        (b"", 422, "expected an image, got 0 bytes"),
        (b"no image at all", 422, "expected a readable image"),
        (bytes(60_000), 413, "expected a file of at most 0.05 MiB"),
        (encode_jpeg(np.zeros((120, 120, 3), np.uint8)), 422, "at most 0.01 megapixels, got 0.014"),
    ],
)
def test_what_is_no_image_or_too_large_is_refused(
    address: str, body: bytes, code: int, message: str
) -> None:
    answer = ask(f"{address}/images", body)
    assert answer[0] == code
    assert message in answer[1].decode()


def test_other_pages_and_other_names_are_refused(address: str) -> None:
    assert ask(f"{address}/images", b"a", {})[0] == 403
    assert ask(f"{address}/about", headers={"host": "elsewhere.example"})[0] == 400


def test_a_model_that_fails_says_why(address: str) -> None:
    number = json.loads(ask(f"{address}/failing/images", encode_jpeg(picture()))[1])["number"]
    code, body = ask(f"{address}/failing/images/{number}/masks/1")
    assert (code, body) == (422, b"broken: expected an image that suits it")


@pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine")
def test_in_a_browser_on_a_narrow_screen(address: str, tmp_path: Path) -> None:
    command = [str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]
    command += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=8000"]
    command += ["--window-size=600,900", "--hide-scrollbars", "--enable-logging=stderr"]
    done = subprocess.run(
        [*command, "--dump-dom", f"{address}/phone"], capture_output=True, text=True, timeout=90
    )
    output = re.search(r'<output id="found">(.*?)</output>', done.stdout, flags=re.DOTALL)
    assert output is not None, done.stderr[-2000:]
    found = json.loads(output[1].replace("&lt;", "<").replace("&amp;", "&"))
    assert (found["errors"], found["failure"], found["foreign"]) == ([], "", [])
    assert found["overflow"] == 0
    assert found["captions"][0].split() == ["input", "90×60"]
    assert re.fullmatch(r"teacher\s+[\d.]+ ms", found["captions"][1])
    assert "2.5 % of the pixels" in found["captions"][3]
    assert found["opaque"] == [list(CLASSES.colors[id]) for id in (1, 2, 0)]
    assert found["differ"][0] != found["differ"][1]
    assert found["differ"][0][0] > 200  # orange, where a car is seen by one alone
    assert found["pressed"] == ["true", "true", "false"]
    assert found["hidden"] == found["input"]  # the class that was hidden leaves the image
    assert "25%" in found["clip"]
    assert found["status"].startswith("Done")
