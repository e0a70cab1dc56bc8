"""The engine of many machines: Ray Data maps tasks with actors, each the keeper of one worker process.

Tasks are names; each actor's worker reads the bytes, colours and writes them where it runs, so no picture
passes through Ray's object store or the driver. The worker process below the actor is that of the local
engine: a decoder's crash costs a picture, not an actor. A dead actor's pictures are done again by Ray.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import logging
import os
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

from tintype.archive.record import FAILED, FULL_KIND, Record
from tintype.archive.settings import Settings, Task, now
from tintype.archive.worker import Worker
from tintype.errors import SettingsError, TintypeError
from tintype.failures import words_for

_BATCH = 8  # pictures that an actor takes at once, and does again where it dies
_CHUNK = 50_000  # tasks of one dataset, which bounds what the driver holds


class ClusterEngine:
    """Runs tasks on `workers` actors of one processor each: all processors of the cluster by default."""

    stopping = "Stopping; the same command does again what the actors have in hand."

    def __init__(self, settings: Settings, workers: int | None, address: str | None) -> None:
        """SettingsError where Ray is not installed or the address cannot be reached."""
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent home
        try:
            import ray
            import ray.data
        except ImportError:
            raise SettingsError("Ray is not installed: pip install 'tintype[cluster]'.") from None
        self._settings = settings
        quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
        alone: dict[str, Any] = {"include_dashboard": False} if address is None else {}
        try:
            ray.init(address=address or "local", **quiet, **alone)
        except (ConnectionError, ValueError, RuntimeError) as error:
            where = f" at {address}" if address else ""
            raise SettingsError(f"Ray cannot be reached{where}: {' '.join(str(error).split())}") from None
        self._workers = workers or int(ray.cluster_resources().get("CPU", 1))  # type: ignore[no-untyped-call]
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        logging.getLogger("ray.data").setLevel(logging.ERROR)

    def check(self) -> None:
        """Start one worker on this machine. Raises what it refuses to run with."""
        worker = Worker(self._settings)
        worker.start()
        worker.close()

    def records(self, tasks: Iterator[Task], stop: Event) -> Generator[Record, None, None]:
        """A record of each task, as each batch is finished; once `stop` is set no more batches are told of.

        Nor is there a record of what an actor did not begin, as the target had no room left.
        """
        import pyarrow
        import ray.data

        while not stop.is_set() and (chunk := list(itertools.islice(tasks, _CHUNK))):
            lines = [json.dumps(task) for task in chunk]
            parts = [lines[n : n + _BATCH] for n in range(0, len(lines), _BATCH)]
            dataset = ray.data.from_arrow([pyarrow.table({"task": part}) for part in parts]).map_batches(
                _Actor,
                fn_constructor_args=(self._settings.to_json(),),
                concurrency=min(self._workers, len(parts)),
                batch_size=None,
                num_cpus=1,
            )
            for batch in dataset.iter_batches(batch_size=None, batch_format="pyarrow"):
                table: Any = batch
                for text in table["record"].to_pylist():
                    yield Record(**json.loads(text))
                if stop.is_set():
                    return

    def abandon(self) -> None:
        """Nothing to do: actors end with the driver, and their workers with them."""

    def close(self) -> None:
        """Leave the cluster, or end the one that was started here."""
        import ray

        ray.shutdown()


class _Actor:
    """One worker process and its keeper, on some machine of the cluster."""

    def __init__(self, settings: str) -> None:
        self._settings = Settings.from_json(settings)
        self._worker = Worker(self._settings)
        self._is_full = False

    def __call__(self, batch: dict[str, Any]) -> Any:
        import pyarrow

        tasks = [Task.from_values(json.loads(text)) for text in batch["task"]]
        with ThreadPoolExecutor(self._settings.in_hand) as pool:
            records = [record for record in pool.map(self._record, tasks) if record is not None]
        texts = [json.dumps(dataclasses.asdict(record)) for record in records]
        return pyarrow.table({"record": pyarrow.array(texts, pyarrow.string())})  # which may be empty

    def _record(self, task: Task) -> Record | None:
        """None for what would fail as the one before: the target had no room left."""
        if self._is_full:
            return None
        try:
            record = self._worker(task)
        except TintypeError as error:  # no worker can be had here: another model, say
            return self._settings.record(task, FAILED, kind="worker", reason=words_for(error), finished=now())
        if record.kind == FULL_KIND:
            self._is_full = True
        return record
