"""Small archives, the command on them, and a look at what a run left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import tintype
from tintype.archive.manifest import read_records
from tintype.archive.record import Record
from tintype.archive.settings import Settings, settings_for
from tintype.cards import find_model

SOURCE = Path(tintype.__file__).parent.parent
COUNT = 6
KINDS = {".jpg": "JPEG", ".png": "PNG", ".tif": "TIFF", ".webp": "WEBP"}
COLORING = {
    "strength": 1.0, "vividness": 1.0, "colors": [], "size": 64, "max_pixels": None, "skip_colored": False,
    "provenance": True,
}  # fmt: skip


INTERRUPTIBLE = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever the tests' own parent ignores
from tintype.cli import main
sys.exit(main(sys.argv[1:]))
"""


def picture(seed: int, suffix: str = ".jpg", size: tuple[int, int] = (48, 40)) -> bytes:
    """A grey picture of noise (W, H), as a file."""
    file = BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, size[::-1], np.uint8)
    Image.fromarray(pixels).save(file, KINDS[suffix])
    return file.getvalue()


def archive(folder: Path, count: int) -> list[str]:
    """`count` pictures in `folder` and one below it; their names."""
    names = []
    for n in range(count):
        suffix = list(KINDS)[n % len(KINDS)]
        name = f"{'below/' if n % 3 == 2 else ''}{n:03}{suffix}"
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(n, suffix))
        names.append(name)
    return sorted(names)


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join([os.environ.get("PYTHONPATH", ""), str(SOURCE)])}


def line(*args: object) -> list[str]:
    return [sys.executable, "-m", "tintype", "batch", *map(str, args)]


def batch(*args: object) -> subprocess.CompletedProcess[str]:
    """`tintype batch ARGS` to its end."""
    return subprocess.run(
        line(*args), env=environment(), check=False, timeout=170, capture_output=True, text=True
    )


def settings(source: object, target: object, model: Path, **values: Any) -> Settings:
    """A worker's settings, impatient with targets."""
    values = {"tries": 2, "wait_s": 0.01} | values
    return settings_for(
        find_model(model),
        source=str(source),
        target=str(target),
        model=str(model),
        coloring=COLORING,
        **values,
    )


def files(folder: Path) -> dict[str, bytes]:
    """Every visible file below a folder but the manifest, by its name."""
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
    return {n: d for n, d in found.items() if not Path(n).name.startswith(".") and "manifest" not in n}


def hidden(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob(".*")]


def records(manifest: Path) -> dict[str, Record]:
    """The records by source, each of which must be there once."""
    found = list(read_records(manifest))
    by_source = {record.source: record for record in found}
    assert len(by_source) == len(found)
    return by_source


def lines_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def descendants(pid: int) -> list[tuple[int, str]]:
    """Living processes below one, with their command lines, as /proc tells."""
    parents, commands = {}, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
                commands[int(entry.name)] = (entry / "cmdline").read_text().replace("\0", " ")
            except OSError:
                continue
            parents[int(entry.name)] = int(stat.rsplit(")", 1)[1].split()[1])
    found, layer = [], [pid]
    while layer:
        layer = [child for child, parent in parents.items() if parent in layer and child in commands]
        found += [(child, commands[child]) for child in layer]
    return found


def workers_of(pid: int) -> list[int]:
    """The worker processes below a driver."""
    return [child for child, command in descendants(pid) if "tintype.archive.child" in command]


class Archive:
    """A folder of `COUNT` pictures, and the command on it."""

    def __init__(self, folder: Path, model: Path, manifest: str) -> None:
        self.source, self.target = folder / "in", folder / "out"
        self.manifest, self.model = folder / manifest, model
        self.names = archive(self.source, COUNT)

    def run(self, *more: object) -> subprocess.CompletedProcess[str]:
        options = ["--model", self.model, "--manifest", self.manifest, "--workers", 1, "--json"]
        return batch(self.source, "-o", self.target, *options, *more)

    def states(self) -> dict[str, tuple[int, int]]:
        """Which files lie in the target: another one has another number and time."""
        return {
            name: (os.stat(self.target / name).st_ino, os.stat(self.target / name).st_mtime_ns)  # noqa: PTH116
            for name in files(self.target)
        }

    def done(self, *more: object) -> set[str]:
        """The results that a run makes anew."""
        before = self.states()
        ran = self.run(*more)
        assert ran.returncode == 0, ran.stderr
        return {name for name, state in self.states().items() if before.get(name) != state}
