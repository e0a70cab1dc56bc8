"""What the service costs beside the bare `Colorizer`, and whether it stays as it is. Prints tables.

    python benchmarks/serve.py rate [--megapixels 1] [--pictures 60] [--rounds 5] [--workers N] [--at-once 4]
    python benchmarks/serve.py steady [--requests 2000] [--at-once 16] [--workers N]
    python benchmarks/serve.py hints [--requests 40]
    python benchmarks/serve.py page [--requests 20]

- rate: pictures a second, from a grey JPEG to a colour JPEG in memory, in turn by a `Colorizer` in a process
  and by `tintype serve` in another, asked on several connections from this one.
- steady: that many requests at once; which statuses came, and the service's memory after 100 and at the end.
- hints: milliseconds from a hint on the page's preview to the coloured preview, one request at a time.
- page: the same in Chromium, from the click on a swatch until the new colours are drawn (needs playwright).
"""

from __future__ import annotations

import argparse
import http.client
import json
import re
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from statistics import median
from typing import Any
from urllib.parse import urlencode, urlsplit


class Caller:
    """One connection that stays open; one that the service closed is opened again."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=120)

    def __enter__(self) -> Caller:
        return self

    def __exit__(self, *error: object) -> None:
        self._connection.close()

    def post(self, path: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        """Status, headers with small names, and body of the answer."""
        return self._ask("POST", path, body)

    def get(self, path: str) -> bytes:
        """The body of the answer."""
        return self._ask("GET", path, None)[2]

    def _ask(self, method: str, path: str, body: bytes | None) -> tuple[int, dict[str, str], bytes]:
        self._connection.request(method, path, body)
        answer = self._connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()


def hammer(address: str, body: bytes, requests: int, at_once: int) -> Counter[int]:
    """Have a picture coloured that many times on `at_once` connections; how often each status came.

    Where 429 came, the connection rests for a moment.
    """
    left, statuses, lock = iter(range(requests)), Counter[int](), threading.Lock()
    failures: list[BaseException] = []

    def next_one() -> bool:
        with lock:
            return next(left, None) is not None and not failures

    def work() -> None:
        try:
            with Caller(address) as caller:
                while next_one():
                    status = caller.post("/v1/colorize", body)[0]
                    with lock:
                        statuses[status] += 1
                    if status == 429:
                        time.sleep(0.02)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(at_once)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return statuses


@contextmanager
def serving(*arguments: str) -> Iterator[str]:
    """`tintype serve` on a free port, in a process of its own: its address."""
    command = [sys.executable, "-m", "tintype", "serve", "--port", "0", *arguments]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        line = process.stderr.readline()
        found = re.search(r"http://\S+", line)
        if found is None:
            raise SystemExit(line + process.stderr.read())
        yield found[0]
    finally:
        process.terminate()
        process.wait(20)
        process.stderr.close()


def photograph(megapixels: float) -> bytes:
    """A grey JPEG of that size, 4:3."""
    from photo import grey_jpeg

    height = round((megapixels * 1e6 * 3 / 4) ** 0.5)
    return grey_jpeg(height, round(height * 4 / 3))


def rate(args: argparse.Namespace) -> None:
    """Requests a second, and the bare Colorizer's."""
    from tintype import Colorizer

    jpeg = photograph(args.megapixels)
    bare = Colorizer(args.model)
    rates: dict[str, list[float]] = {"bare": [], "service": []}
    with serving(*_settings(args)) as address:

        def by_service(count: int) -> None:
            statuses = hammer(address, jpeg, count, args.at_once)
            if set(statuses) != {200}:
                raise SystemExit(f"Not all were coloured: {dict(statuses)}.")

        def by_bare(count: int) -> None:
            for _ in range(count):
                bare(jpeg)

        sides = {"bare": by_bare, "service": by_service}
        for number in range(args.rounds + 1):
            for name, side in sides.items():
                began = time.perf_counter()
                side(args.pictures)
                if number:  # the first warms up
                    rates[name].append(args.pictures / (time.perf_counter() - began))
    print(f"{args.megapixels:g} megapixels, {len(jpeg) / 1e3:.0f} kB, {args.at_once} at once, "
          f"{args.rounds} rounds of {args.pictures}\n")  # fmt: skip
    print("| | pictures/s | min | max | ratio |\n| --- | ---: | ---: | ---: | ---: |")
    titles = {"bare": "`Colorizer`, one process", "service": "`tintype serve`"}
    for name, found in rates.items():
        ratio = median(found) / median(rates["bare"])
        row = [median(found), min(found), max(found), ratio]
        print(f"| {titles[name]} | " + " | ".join(f"{value:.2f}" for value in row) + " |")


def steady(args: argparse.Namespace) -> None:
    """Statuses, and memory at the beginning and the end."""
    jpeg = photograph(args.megapixels)
    memory: list[tuple[int, float]] = []
    with serving(*_settings(args)) as address, Caller(address) as watcher:
        # Between parts nothing is in hand, so what a few requests need while they run does not count.
        marks = sorted({100, *(args.requests * part // 5 for part in range(1, 6))})
        statuses: Counter[int] = Counter()
        for done, mark in pairwise([0, *(m for m in marks if m <= args.requests)]):
            statuses += hammer(address, jpeg, mark - done, args.at_once)
            memory.append((mark, _memory(watcher)))
    came = ", ".join(f"{number:,} × {status}" for status, number in sorted(statuses.items()))
    print(f"{args.requests:,} requests of {args.megapixels:g} megapixels, {args.at_once} at once: {came}\n")
    print("| after | memory, MiB |\n| ---: | ---: |")
    for done, mebibytes in memory:
        print(f"| {done:,} | {mebibytes:.0f} |")
    at_100 = next((value for done, value in memory if done == 100), memory[0][1])
    print(f"\nAt the end {memory[-1][1] / at_100:.3f} of what it was after {min(100, args.requests)}.")
    if bad := set(statuses) - {200, 429}:
        raise SystemExit(f"There were failures: {sorted(bad)}.")


def hints(args: argparse.Namespace) -> None:
    """How long the page waits for a hint."""
    times = []
    with serving(*_settings(args)) as address, Caller(address) as caller:
        preview = caller.post("/v1/preview?show=grey", photograph(args.megapixels))[2]
        for number in range(args.requests):
            point = {"x": (number % 9 + 1) / 10, "y": 0.5, "color": "#b04030"}
            query = urlencode({"hints": json.dumps({"units": "fractions", "points": [point]})})
            began = time.perf_counter()
            status = caller.post(f"/v1/preview?{query}", preview)[0]
            assert status == 200, status
            times.append(1e3 * (time.perf_counter() - began))
    times = times[min(5, len(times) - 1) :]
    print(f"A hint on the page's preview: median {median(times):.0f} ms, min {min(times):.0f}, "
          f"max {max(times):.0f} of {len(times)}.")  # fmt: skip


# Clicks a swatch; the milliseconds until the picture in colour is another one and a frame has been drawn.
_CLICK = """(number) => new Promise((resolve) => {
    const began = performance.now(), image = document.getElementById("after");
    const done = () => requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - began)));
    const watch = new MutationObserver(() => { watch.disconnect(); done(); });
    watch.observe(image, { attributeFilter: ["src"] });
    document.querySelectorAll("#grid button")[number].click();
})"""


def page(args: argparse.Namespace) -> None:
    """How long a person waits for a hint."""
    from playwright.sync_api import sync_playwright

    photo = {"name": "photo.jpg", "mimeType": "image/jpeg", "buffer": photograph(args.megapixels)}
    with serving(*_settings(args)) as address, sync_playwright() as started:
        options = {"executable_path": shutil.which("chromium"), "args": ["--no-sandbox"]}
        browser = started.chromium.launch(**options)
        opened = browser.new_page(viewport={"width": 1200, "height": 800})
        opened.goto(address)
        opened.set_input_files("#files", photo)
        opened.locator("#after[src]").wait_for()
        opened.wait_for_timeout(3000)
        opened.locator("#view").focus()
        opened.keyboard.press("h")
        times = []
        for number in range(args.requests):
            times.append(opened.evaluate(_CLICK, number % 36))
            opened.wait_for_timeout(1500)  # people look before they click again
        browser.close()
    print(f"From click to colour: median {median(times):.0f} ms, min {min(times):.0f}, "
          f"max {max(times):.0f} of {len(times)}.")  # fmt: skip


def _memory(watcher: Caller) -> float:
    """Resident memory of the service in MiB, as its metrics tell it."""
    text = watcher.get("/metrics").decode()
    return int(re.search(r"^process_resident_memory_bytes (\d+)", text, re.M)[1]) / (1 << 20)  # type: ignore[index]


def _settings(args: argparse.Namespace) -> list[str]:
    given: dict[str, Any] = {"--model": args.model, "--workers": args.workers, "--threads": args.threads}
    return [str(part) for name, value in given.items() if value is not None for part in (name, value)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("rate", "steady", "hints", "page"))
    parser.add_argument("--model", default="tint")
    parser.add_argument("--megapixels", type=float, default=1.0)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--pictures", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int)
    parser.add_argument("--at-once", type=int)
    arguments = parser.parse_args()
    usual = {"rate": (0, 4), "steady": (2000, 16), "hints": (40, 1), "page": (20, 1)}[arguments.what]
    arguments.requests = arguments.requests or usual[0]
    arguments.at_once = arguments.at_once or usual[1]
    {"rate": rate, "steady": steady, "hints": hints, "page": page}[arguments.what](arguments)
