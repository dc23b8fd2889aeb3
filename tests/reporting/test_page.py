"""The page: whole in one file, safe for any name, and true to the results."""

import base64
import re
import subprocess
import sys
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import pytest

from segdistill.errors import RunFolderError
from segdistill.files import write_whole
from segdistill.reporting.page import SECTIONS, write_report

from .folders import make_cohort, make_run


class Page(HTMLParser):
    """What a test asks of a page: its elements, balanced, and its text."""

    VOID = frozenset({"meta", "img", "input", "br", "wbr", "link", "hr"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self.open):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).replace("\u00a0", " ").split())


def report(runs: list[Path], out: Path, **settings: object) -> tuple[str, Page]:
    write_report(runs, out, title="CamVid <b>", **settings)  # type: ignore[arg-type]
    text = out.read_text(encoding="utf-8")
    return text, Page(text)


def test_is_one_file_that_loads_nothing(tmp_path: Path) -> None:
    text, page = report(make_cohort(tmp_path), tmp_path / "report.html")
    for tag, attributes in page.elements:
        assert tag not in ("link", "iframe", "object", "base")
        for name in ("src", "href", "srcset", "xlink:href"):
            address = attributes.get(name) or "#"
            assert address.startswith(("data:", "#")), f"{tag} {name}={address[:60]}"
    policy = [a for t, a in page.elements if a.get("http-equiv") == "Content-Security-Policy"]
    assert "default-src 'none'" in str(policy[0]["content"])
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)


def test_shows_every_run_with_its_numbers_teacher_first(tmp_path: Path) -> None:
    _, page = report(make_cohort(tmp_path), tmp_path / "report.html", notes=["Equal steps."])
    values = [a["data-value"] for t, a in page.elements if t == "th" and "data-value" in a]
    assert values[:4] == ["teacher", "plain", "kl", "angular"]
    for words in ("47.0", "37.1", "+2.7", "11.70", "58.50", "21.5", "612", "Equal steps."):
        assert words in page.text
    assert "left out because no image has them: pole <thin>" in page.text
    assert "no proof of a difference" in page.text


def test_embeds_the_bytes_of_the_pictures_once(tmp_path: Path) -> None:
    runs = make_cohort(tmp_path)
    text, page = report(runs, tmp_path / "report.html")
    for name, times in (("street_1_input.jpg", 1), ("street_1_truth.png", 1)):
        coded = base64.b64encode((runs[0] / "predictions" / name).read_bytes()).decode()
        assert text.count(coded) == times
    images = [attributes for tag, attributes in page.elements if tag == "img"]
    assert len(images) == 2 * (2 + 4)
    assert all(image["alt"] for image in images)
    assert len({image["alt"] for image in images}) == len(images)


def test_escapes_titles_names_and_configs(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a", name="<script>alert(1)</script>", losses=["a&b"])
    text, page = report([run], tmp_path / "report.html", notes=["1 < 2 & <i>x</i>"])
    assert "<script>alert" not in text
    assert "CamVid <b>" in page.text
    assert "1 < 2 & <i>x</i>" in page.text
    assert "pole <thin>" in page.text


def test_says_how_to_reproduce_with_config_hash_and_environment(tmp_path: Path) -> None:
    _, page = report(make_cohort(tmp_path), tmp_path / "report.html")
    assert "segdistill distill camvid-students training.seed=0" in page.text
    assert page.text.count("segdistill distill camvid-students") == 1
    assert "config 000001234567" in page.text
    assert "backbone: mobilenetv2_035" in page.text
    assert "torch 2.12.1" in page.text


def test_several_seeds_become_one_row_with_an_interval(tmp_path: Path) -> None:
    runs = []
    for seed in range(6):
        base = 0.35 + 0.01 * (seed % 4)
        runs.append(make_run(tmp_path / f"p{seed}", name="plain", miou=base, seed=seed))
        gained = base + 0.02 + 0.001 * (seed % 2)
        kl = make_run(tmp_path / f"k{seed}", name="kl", miou=gained, losses=["kl"], seed=seed)
        runs.append(kl)
    _, page = report(runs, tmp_path / "report.html")
    assert "kl is better than plain: +2.1 mIoU points (95 % interval +2.0 to +2.1, 6 seeds" in (
        page.text
    )
    assert "least p possible" in page.text
    assert "Every run" in page.text
    assert "kl, seed 5" in page.text
    assert sum(tag == "img" for tag, _ in page.elements) == 2 * (2 + 2), "one seed a method"


def test_a_single_bare_run_has_a_page(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a", name="lonely", params_m=None, bare=True)
    _, page = report([run], tmp_path / "report.html")
    assert "lonely reaches 40.0 mIoU on 101 val images." in page.text
    assert "against plain" not in page.text
    assert "There is one seed per method" not in page.text


def test_two_learning_rates_have_a_page_that_says_so(tmp_path: Path) -> None:
    runs = [
        make_run(tmp_path / f"{lr}", name="kl", losses=["kl"], settings={"training": {"lr": lr}})
        for lr in (0.01, 0.02)
    ]
    _, page = report(runs, tmp_path / "report.html")
    assert "kl (lr 0.01) reaches 40.0 mIoU" in page.text
    assert "Training differs between these runs in training.lr (0.01 or 0.02)." in page.text


@pytest.mark.parametrize("name", SECTIONS)
def test_every_section_is_a_file_beside_its_template(name: str) -> None:
    folder = files("segdistill.reporting.sections")
    assert folder.joinpath(f"{name}.py").is_file()
    assert folder.joinpath(f"{name}.html").is_file()


def test_has_headings_captions_and_a_language(tmp_path: Path) -> None:
    _, page = report(make_cohort(tmp_path), tmp_path / "report.html")
    tags = [tag for tag, _ in page.elements]
    assert tags.count("h1") == tags.count("main") == tags.count("header") == 1
    assert dict(page.elements)["html"]["lang"] == "en"
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    for _, attributes in page.elements:
        if "aria-labelledby" in attributes:
            assert attributes["aria-labelledby"] in ids
    assert all("scope" in a for t, a in page.elements if t == "th")


def test_is_the_same_bytes_each_time(tmp_path: Path) -> None:
    runs = make_cohort(tmp_path / "runs")
    assert report(runs, tmp_path / "a.html")[0] == report(runs, tmp_path / "b.html")[0]


def test_an_unfinished_run_leaves_the_old_page(tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    write_whole(out, "old", made_by="report")
    with pytest.raises(RunFolderError, match="expected a finished run"):
        write_report([tmp_path], out, title="x")
    assert out.read_text() == "old"


@pytest.mark.long
def test_needs_neither_torch_nor_pyplot(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a", name="a", pictures=[])
    code = (
        "import sys; from pathlib import Path; "
        "from segdistill.reporting.page import write_report; "
        "from segdistill.reporting.plots import write_run_pictures; "
        f"run = Path({str(run)!r}); write_run_pictures(run); "
        "write_report([run], run / 'report.html', title='x'); "
        "assert not {'torch', 'matplotlib.pyplot'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
