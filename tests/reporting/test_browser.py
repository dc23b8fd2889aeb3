"""The page in a real browser, where there is one: quiet, offline, and alive."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segdistill.reporting.page import write_report
from segdistill.reporting.study_page import write_study_report

from .folders import METHODS, make_cohort, make_study

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine")

ACT = r"""
<script>
const found = {errors: []};
addEventListener("error", event => found.errors.push(String(event.message)));
addEventListener("securitypolicyviolation", event => found.errors.push(event.blockedURI));
const get = name => document.querySelector(`[name=${name}]`);
const set = (name, value) => {
  get(name).value = value;
  get(name).dispatchEvent(new Event("input"));
  get(name).dispatchEvent(new Event("change"));
};
const order = () =>
  [...document.querySelector("#results tbody").querySelectorAll(".name")]
    .map(name => name.textContent.trim());
const orange = () => {
  const canvas = document.querySelector("canvas.right");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let count = 0;
  for (let i = 0; i < data.length; i += 4) count += data[i] === 255 && data[i + 1] === 106;
  return count;
};
const ready = setInterval(() => {
  if (!document.documentElement.dataset.ready) return;
  clearInterval(ready);
  const head = document.querySelector("#results th.wide");
  found.before = order();
  head.querySelector("button").click();
  found.descending = order();
  head.querySelector("button").click();
  found.ascending = order();
  found.sort = head.getAttribute("aria-sort");
  found.layers = [...get("right").options].map(option => option.value);
  found.readout = document.querySelector(".readout").textContent;
  set("split", "0.25");
  found.clip = getComputedStyle(document.querySelector("canvas.right")).clipPath;
  set("blend", "1");
  set("right", "mistakes of plain");
  found.orange = orange();
  set("zoom", "2");
  const width = name => document.querySelector(name).clientWidth;
  found.zoom = width(".zoomer") / width(".stage");
  found.links = [...document.querySelectorAll("nav a")].map(link => link.getAttribute("href"));
  found.targets = [...document.querySelectorAll("main section[id]")].map(one => `#${one.id}`);
  const drawings = [...document.querySelectorAll("svg")];
  found.enlarged = document.querySelector("#large").open;
  document.querySelector(".layers img").click();
  found.enlarged = [found.enlarged, document.querySelector("#large").open];
  document.querySelector("#large").click();
  found.enlarged.push(document.querySelector("#large").open);
  found.empty = drawings.filter(one => !one.querySelector("path")).length;
  found.resources = performance.getEntriesByType("resource").map(entry => entry.name)
    .filter(name => !name.startsWith("data:"));
  found.overflow = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  const inSight = cell => {
    const box = cell.getBoundingClientRect();
    return box.width > 0 && box.right <= innerWidth;
  };
  found.differences = [...document.querySelector("#results tbody").rows]
    .map(row => row.cells[2]).filter(cell => /[+−]\d/.test(cell.textContent)).map(inSight);
  scrollTo(0, 0);
  const advice = document.querySelector(".advice");
  found.first = advice.innerText;
  found.bottom = advice.getBoundingClientRect().bottom;
  const size = text => text.getScreenCTM().a * parseFloat(getComputedStyle(text).fontSize);
  const words = [...document.querySelectorAll(".chart svg text")];
  found.text = Math.min(...words.filter(text => text.checkVisibility()).map(size));
  found.legends = [...document.querySelectorAll("#curves .chart, #pareto .chart")]
    .filter(chart => !chart.querySelector(".legend")).length;
  parent.postMessage(JSON.stringify(found), "*");
}, 20);
</script></body>
"""


PHONE = """<!doctype html><body>
<script>
addEventListener("message", event => {
  const result = document.createElement("output");
  result.id = "found";
  result.textContent = event.data;
  document.body.append(result);
});
</script>
<iframe src="acted.html" style="border: 0; width: 390px; height: 844px"></iframe></body>
"""


def visit(page: Path, folder: Path) -> dict[str, object]:
    """Open a page on a phone-wide screen, use it, and return what was seen."""
    acted = folder / "acted.html"
    acted.write_text(page.read_text(encoding="utf-8").replace("</body>", ACT), encoding="utf-8")
    phone = folder / "phone.html"  # the browser has no window as narrow as a phone
    phone.write_text(PHONE, encoding="utf-8")
    command = [str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]
    command += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    command += [f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=4000"]
    command += ["--window-size=600,900", "--hide-scrollbars"]
    command += ["--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr"]
    done = subprocess.run(
        [*command, "--dump-dom", phone.as_uri()], capture_output=True, text=True, timeout=60
    )
    output = re.search(r'<output id="found">(.*?)</output>', done.stdout, flags=re.DOTALL)
    assert output is not None, done.stderr[-2000:]
    seen: dict[str, object] = json.loads(output[1].replace("&lt;", "<").replace("&amp;", "&"))
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return seen | {"console": console}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    folder = tmp_path_factory.mktemp("browser")
    runs = make_cohort(folder / "runs")
    write_report(runs, folder / "report.html", title="x")
    return visit(folder / "report.html", folder) | {"plain": str(runs[0] / "predictions")}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    folder = tmp_path_factory.mktemp("browser")
    some = {name: METHODS[name] for name in ("plain", "kl", "mgd")}
    failed = {("mgd", 1): "got nan"}
    page = make_study(folder / "study", seeds=3, failed=failed, methods=some)
    return visit(write_study_report(page)[0], folder)


def test_a_study_is_as_quiet_and_as_narrow(study: dict[str, object]) -> None:
    assert study["errors"] == study["console"] == study["resources"] == []
    assert study["overflow"] == 0
    assert study["empty"] == 0, "a drawing without a line"


def test_a_study_sorts_slides_and_links_to_every_section(study: dict[str, object]) -> None:
    order = list(study["descending"])  # type: ignore[call-overload]
    assert order[:2] == ["teacher", "kl"]
    assert study["ascending"] == order[::-1]
    assert "25%" in str(study["clip"])
    assert set(study["links"]) == set(study["targets"]) - {"#verdict"}  # type: ignore[call-overload]


def test_the_console_stays_empty(found: dict[str, object]) -> None:
    assert found["errors"] == []
    assert found["console"] == []


def test_the_page_asks_the_network_for_nothing(found: dict[str, object]) -> None:
    assert found["resources"] == []


def test_a_click_on_a_column_sorts_and_a_second_one_turns_it(found: dict[str, object]) -> None:
    assert found["before"] == ["teacher", "plain", "kl", "angular"]
    assert found["descending"] == ["teacher", "kl", "angular", "plain"]
    assert found["ascending"] == ["plain", "angular", "kl", "teacher"]
    assert found["sort"] == "ascending"


def test_the_slider_moves_the_line_and_zoom_enlarges(found: dict[str, object]) -> None:
    assert "25%" in str(found["clip"])
    assert found["zoom"] == pytest.approx(2, abs=0.05)


def test_mistakes_are_the_labelled_pixels_that_differ(found: dict[str, object]) -> None:
    truth, plain = (
        np.asarray(Image.open(Path(str(found["plain"])) / f"street_1_{kind}.png"))
        for kind in ("truth", "prediction")
    )
    labelled = truth.any(axis=2)  # black is no class's colour
    wrong = labelled & (truth != plain).any(axis=2)
    assert found["orange"] == wrong.sum() > 0
    share = f"plain: {100 * (1 - wrong.sum() / labelled.sum()):.1f} % of this picture's labelled"
    assert share in str(found["readout"])
    assert "mistakes of teacher" in list(found["layers"])  # type: ignore[call-overload]


def test_a_narrow_window_never_scrolls_sideways(found: dict[str, object]) -> None:
    assert found["overflow"] == 0


def test_a_phone_shows_the_answer_and_the_difference_at_once(
    found: dict[str, object], study: dict[str, object]
) -> None:
    assert found["differences"] == [True] * 2
    assert study["differences"] == [True] * 2
    for seen in (found, study):
        assert str(seen["first"]).startswith("Which student to ship:")
        assert float(str(seen["bottom"])) < 844
    assert re.search(r"kl, differs from plain by [+−]\d", str(study["first"]))


def test_text_of_charts_can_be_read_on_a_phone_and_legends_are_at_their_chart(
    found: dict[str, object], study: dict[str, object]
) -> None:
    for seen in (found, study):
        assert float(str(seen["text"])) >= 12
        assert seen["legends"] == 0


def test_a_click_enlarges_a_picture_and_another_puts_it_back(found: dict[str, object]) -> None:
    assert found["enlarged"] == [False, True, False]
