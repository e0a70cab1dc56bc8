"""How `tintype batch` scales: with processes, by Ray, and with the number of pictures. Prints tables.

- processes: pictures/s of 1, 2, … worker processes of one thread each, in turn, in one run;
- far: pictures/s from a web server that takes a while to answer, over those from a folder, in turn, in one
  run;
- ray: pictures/s of Ray over those of the local engine with as many workers, from each one's first picture
  on, so that neither's start counts;
- flat: seconds a picture and the driver's peak memory, on few and on many pictures, each in a fresh process.

    python benchmarks/batch.py [processes|far|ray|flat ...] [--model NAME|FILE.onnx] [--pictures N]
        [--rounds N] [--ray-pictures N] [--few N] [--many N] [--workers N] [--size WIDTHxHEIGHT]
        [--answer-s SECONDS]
"""

from __future__ import annotations

import argparse
import functools
import http.server
import itertools
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
import simplejpeg

from tintype.archive.cluster import ClusterEngine
from tintype.archive.local import LocalEngine
from tintype.archive.manifest import read_last
from tintype.archive.report import summarize
from tintype.archive.settings import Settings, Task, settings_for
from tintype.cards import find_model
from tintype.running import processors

UNIQUE = 40  # different pictures, of which archives are made by linking
COLORING = {"strength": 1.0, "vividness": 1.0, "colors": [], "max_pixels": None, "skip_colored": False,
            "provenance": True}  # fmt: skip
DRIVER = """
import sys
from tintype.cli import main
status = main(sys.argv[1:])
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
sys.exit(status)
"""


def make_archive(folder: Path, count: int, size: tuple[int, int]) -> Path:
    """`count` grey JPEGs of (W, H) with the detail and grain of photographs, 1,000 in a folder."""
    from skimage import data

    rng = np.random.default_rng(0)
    luma = cv2.resize(data.camera(), size, interpolation=cv2.INTER_CUBIC).astype(np.float32)
    own = folder / "unique"
    own.mkdir(parents=True)
    for n in range(UNIQUE):
        grain = cv2.GaussianBlur(rng.normal(0, 9, luma.shape).astype(np.float32), (0, 0), 1)
        pixels = (luma + grain).clip(0, 255).astype(np.uint8)
        (own / f"{n}.jpg").write_bytes(simplejpeg.encode_jpeg(pixels[..., None], 92, "GRAY", "Gray"))
    archive = folder / "archive"
    for n in range(count):
        path = archive / f"{n // 1000:03}" / f"{n:06}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        os.link(own / f"{n % UNIQUE}.jpg", path)
    return archive


def tasks(archive: Path, count: int) -> list[Task]:
    """The first pictures of an archive."""
    paths = itertools.islice(sorted(archive.rglob("*.jpg")), count)
    return [Task(path.relative_to(archive).as_posix(), -1, "", 0) for path in paths]


def rate(engine: Any, todo: list[Task]) -> float:
    """Pictures a second, from the first record to the last."""
    begun, counted = 0.0, 0
    for record in engine.records(iter(todo), threading.Event()):
        if record.status != "done":
            raise SystemExit(f"{record.source}: {record.reason}")
        if not begun:
            begun = time.perf_counter()
        else:
            counted += 1
    return counted / (time.perf_counter() - begun)


def settings(model: str, source: Path, target: Path) -> Settings:
    card = find_model(model)
    coloring = COLORING | {"size": card.size}
    return settings_for(card, source=str(source), target=str(target), model=model, coloring=coloring)


def scaling(options: argparse.Namespace, folder: Path) -> None:
    archive = make_archive(folder, options.pictures, options.size)
    todo = tasks(archive, options.pictures)
    given = settings(options.model, archive, folder / "out")
    counts = range(1, options.workers + 1)
    engines = {count: LocalEngine(given, count) for count in counts}
    for count, engine in engines.items():
        rate(engine, todo[: 4 * count])  # starts the processes
    rates: dict[int, list[float]] = {count: [] for count in counts}
    for _ in range(options.rounds):
        for count, engine in engines.items():
            rates[count].append(rate(engine, todo))
    for engine in engines.values():
        engine.close()
    print(f"\n{options.pictures:,} pictures a round, {options.rounds} rounds\n")
    print("| processes, one thread each | pictures/s | ratio to 1 |\n| ---: | ---: | ---: |")
    for count in counts:
        ratio = median(many / one for many, one in zip(rates[count], rates[1], strict=True))
        print(f"| {count} | {median(rates[count]):.2f} | {ratio:.2f} |", flush=True)


def far(options: argparse.Namespace, folder: Path) -> None:
    archive = make_archive(folder, options.pictures, options.size)
    todo = tasks(archive, options.pictures)
    with slow_server(archive, options.answer_s) as url:
        places = {"folder": str(archive), "web server": url}
        engines = {
            name: LocalEngine(settings(options.model, source, folder / "out"), options.workers)
            for name, source in places.items()
        }
        rates: dict[str, list[float]] = {name: [] for name in places}
        for engine in engines.values():
            rate(engine, todo[: 8 * options.workers])  # starts the processes
        for _ in range(options.rounds):
            for name, engine in engines.items():
                rates[name].append(rate(engine, todo))
        for engine in engines.values():
            engine.close()
    print(f"\n{options.pictures:,} pictures a round, {options.rounds} rounds, {options.workers} workers,")
    print(f"{1000 * options.answer_s:.0f} ms until the server answers\n")
    print("| source | pictures/s | ratio to the folder |\n| --- | ---: | ---: |")
    for name in places:
        ratio = median(mine / near for mine, near in zip(rates[name], rates["folder"], strict=True))
        print(f"| {name} | {median(rates[name]):.2f} | {ratio:.2f} |", flush=True)


@contextmanager
def slow_server(root: Path, answer_s: float) -> Iterator[str]:
    """The address of a web server of this folder, in this process, that begins each answer so late."""

    class Slow(http.server.SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            time.sleep(answer_s)
            super().do_GET()

        def log_message(self, format: str, *args: object) -> None:
            pass

    handler = functools.partial(Slow, directory=str(root))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def on_ray(options: argparse.Namespace, folder: Path) -> None:
    archive = make_archive(folder, options.ray_pictures, options.size)
    todo = tasks(archive, options.ray_pictures)
    given = settings(options.model, archive, folder / "out")
    local = LocalEngine(given, options.workers)
    rates = {"local": rate(local, todo)}
    local.close()
    ray = ClusterEngine(given, options.workers, None)
    rates["Ray"] = rate(ray, todo)
    ray.close()
    print(f"\n{options.ray_pictures:,} pictures, {options.workers} workers\n")
    print("| engine | pictures/s, its start apart | ratio to local |\n| --- | ---: | ---: |")
    for name, value in rates.items():
        print(f"| {name} | {value:.2f} | {value / rates['local']:.2f} |", flush=True)


def flat(options: argparse.Namespace, folder: Path) -> None:
    print("\n| pictures | ms a picture | ratio | driver's peak memory, MiB | ratio |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    first: list[float] = []
    for count, values in _few_and_many(options, folder):
        first = first or values
        cost, memory = values
        ratios = [value / before for value, before in zip(values, first, strict=True)]
        print(f"| {count:,} | {cost:.1f} | {ratios[0]:.2f} | {memory:.0f} | {ratios[1]:.2f} |", flush=True)


def _few_and_many(options: argparse.Namespace, folder: Path) -> Iterator[tuple[int, list[float]]]:
    for count in (options.few, options.many):
        archive = make_archive(folder / str(count), count, options.size)
        target, manifest = folder / str(count) / "out", folder / f"{count}.jsonl"
        line = ["batch", archive, "-o", target, "--manifest", manifest, "--model", options.model, "--quiet"]
        line += ["--workers", options.workers]
        command = [sys.executable, "-c", DRIVER, *map(str, line)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        summary = summarize(read_last(manifest))
        yield count, [1000 * summary.at_work / (count - 1), int(done.stdout) / 1024]


PARTS = {"processes": scaling, "far": far, "ray": on_ray, "flat": flat}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART")
    parser.add_argument("--model", default="tint")
    parser.add_argument("--pictures", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--ray-pictures", type=int, default=2000)
    parser.add_argument("--few", type=int, default=100)
    parser.add_argument("--many", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=processors())
    parser.add_argument("--answer-s", type=float, default=0.05)
    parser.add_argument("--size", type=lambda text: tuple(map(int, text.split("x"))), default=(640, 480))
    options = parser.parse_args()
    size = "×".join(map(str, options.size))
    print(f"Grey JPEGs of {size}, model {options.model}, {processors()} processors")
    for part in options.parts or PARTS:
        with tempfile.TemporaryDirectory() as folder:
            PARTS[part](options, Path(folder))


if __name__ == "__main__":
    main()
