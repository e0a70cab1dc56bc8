"""Uploads that outgrow memory, and faults: what becomes of places and files."""

from __future__ import annotations

import errno
import os
from typing import Any

import pytest
from service_helpers import sentence

from tintype.serve import bodies


def test_a_large_upload_lies_on_disk_while_it_is_needed_and_no_longer(client, jpeg, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(bodies, "MEMORY_BYTES", 10_000)
    seen: list[list[str]] = []
    source = bodies.Upload.source

    def watched(upload: bodies.Upload) -> Any:
        seen.append([path.name for path in tmp_path.iterdir()])
        return source(upload)

    monkeypatch.setattr(bodies.Upload, "source", watched)
    response = client.post("/v1/colorize", content=jpeg)
    assert response.status_code == 200
    assert len(seen[0]) == 1
    assert seen[0][0].startswith("tintype-upload-")
    assert list(tmp_path.iterdir()) == []
    refused = client.post("/v1/colorize", content=b"x" * 20_000)
    assert refused.status_code == 422
    sentence(refused)  # which does not tell where the file was
    assert list(tmp_path.iterdir()) == []


def test_a_small_upload_never_lies_on_disk(client, jpeg, monkeypatch):
    monkeypatch.setattr("tempfile.NamedTemporaryFile", lambda **options: pytest.fail("a file"))
    assert client.post("/v1/colorize", files={"picture": jpeg}).status_code == 200


def test_a_full_disk_is_told_and_costs_no_place(client, frank, monkeypatch):
    class Full:
        name = "/tmp/full"

        def writelines(self, parts: Any) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/tmp/full")

        def close(self) -> None:
            self.writelines([])

    monkeypatch.setattr(bodies, "MEMORY_BYTES", 1000)
    monkeypatch.setattr("tempfile.NamedTemporaryFile", lambda **options: Full())
    for _ in range(10):
        response = frank.post("/v1/colorize", content=bytes(20_000))
        assert response.status_code == 500
        assert "No space left on device" in sentence(response)
    assert client.app.state.desk.taken == 0
