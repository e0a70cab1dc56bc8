"""What the tests of the command share."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_helpers import grey


@pytest.fixture
def album(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three pictures in `album`, in the current folder."""
    folder = tmp_path / "album"
    folder.mkdir()
    for seed, name in enumerate(("a.jpg", "b.png", "c.png")):
        grey(seed=seed).save(folder / name)
    monkeypatch.chdir(tmp_path)
    return folder
