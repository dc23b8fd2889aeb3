"""Peak memory: what a block takes beside what was there before."""

from pathlib import Path

import pytest
import torch

from segdistill.memory import peak_memory


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux alone tells")
def test_sees_a_tensor_that_is_gone_at_the_end() -> None:
    kept = torch.ones(2**22)
    with peak_memory(torch.device("cpu")) as peak:
        torch.ones(2**25).sum()
    assert kept.sum() == 2**22
    if peak.mib is not None:
        assert 100 < peak.mib < 200  # 128 MiB and what else the process did


def test_says_nothing_where_the_system_does_not_tell(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("segdistill.memory._RESET", tmp_path / "none" / "clear_refs")
    with peak_memory(torch.device("cpu")) as peak:
        torch.ones(8)
    assert peak.mib is None
