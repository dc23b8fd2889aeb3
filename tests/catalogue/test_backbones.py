"""A backbone's name is known to be wrong before timm is loaded, and never wrongly so."""

import subprocess
import sys

import pytest

from segdistill.catalogue import backbones
from segdistill.catalogue.backbones import listed_backbones, unknown_backbone

TREE = """{"network": "fcn", "backbone": "%s"}"""


def check(name: str) -> str:
    code = (
        "import sys\n"
        "from segdistill.config import NetworkConfig\n"
        "from segdistill.config.checking import check_named\n"
        "from segdistill.errors import ConfigError\n"
        "try:\n"
        f"    check_named(NetworkConfig, {TREE % name}, 'student')\n"
        "except ConfigError as error:\n"
        "    print(error)\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.skipif(listed_backbones() is None, reason="another timm than the one listed")
@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("resnet18", ""),
        ("resnet50.a1_in1k", ""),
        ("resnet18_half", ""),
        (
            "resnet18_halff",
            "student.backbone: expected a backbone of timm or segdistill, got 'resnet18_halff'; "
            "did you mean 'resnet18_half'?",
        ),
    ],
)
def test_a_wrong_backbone_is_answered_before_timm_is_loaded(name: str, answer: str) -> None:
    assert check(name) == answer


def test_timm_answers_itself_once_it_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", sys)
    assert not unknown_backbone("registered_by_somebody")


def test_timm_answers_itself_where_another_version_is_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "timm", raising=False)
    monkeypatch.setattr(backbones, "version", lambda package: "0")
    listed_backbones.cache_clear()
    assert not unknown_backbone("newer_than_the_list")
    listed_backbones.cache_clear()
