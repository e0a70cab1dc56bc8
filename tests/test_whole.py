"""Temporary files of results: whose they are, and that a process that ends leaves none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tintype.errors import OutputError
from tintype.whole import part_name, remove_own_parts, whole_file

ENDING = """
import os, threading, time
from pathlib import Path
from tintype.errors import OutputError
from tintype.whole import remove_last_parts, whole_file

begun = threading.Semaphore(0)
def write(target):
    while True:
        try:
            with whole_file(target) as file:
                file.write(b"whole")
                begun.release()
        except OutputError:  # its temporary file has been removed
            pass

for number in range(4):
    threading.Thread(target=write, args=[Path(f"{number}.jpg")], daemon=True).start()
for _ in range(8):
    begun.acquire()
remove_last_parts()
time.sleep(0.3)  # for as long as a process may take to end
os._exit(0)
"""


def test_what_this_process_is_writing_is_removed_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    other = part_name("a.jpg")
    Path(other).write_bytes(b"of another process, at work on the same result")
    with pytest.raises(OutputError, match="Cannot write"), whole_file(Path("a.jpg")):
        remove_own_parts()
    assert [p.name for p in Path().iterdir()] == [other]


def test_no_thread_begins_a_file_in_a_process_that_ends(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", ENDING], cwd=tmp_path, check=True, timeout=60)
    left = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert left
    assert left.keys() <= {f"{number}.jpg" for number in range(4)}
    assert set(left.values()) == {b"whole"}
