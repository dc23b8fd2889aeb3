"""Peak memory: what a block takes beside what was there before."""

from pathlib import Path
from statistics import median

import pytest
import torch

from segdistill.memory import peak_memory


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux alone tells")
def test_sees_a_tensor_that_is_gone_at_the_end() -> None:
    kept = torch.ones(2**22)
    found = []
    for _ in range(5):  # the system may take pages away, other threads may use some meanwhile
        with peak_memory(torch.device("cpu")) as peak:
            torch.ones(2**25).sum()
        found.append(peak.mib or 0)
    assert kept.sum() == 2**22
    assert 120 < median(found) < 136  # 128 MiB


def test_says_nothing_where_the_system_does_not_tell(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("segdistill.memory._RESET", tmp_path / "none" / "clear_refs")
    with peak_memory(torch.device("cpu")) as peak:
        torch.ones(8)
    assert peak.mib is None
