"""Checkpoints that are whole or absent, also on a full disk, and stay the best ones when their run moves."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.fabric.plugins.io import TorchCheckpointIO
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.utilities import rank_zero_only

from tintype.errors import ModelError, OutputError
from tintype.whole import remove_parts, whole_file
from tintype.words import plain_words


class WholeCheckpoints(TorchCheckpointIO):
    """Writes a checkpoint beside its place and renames it.

    Lightning's own way writes into the system's folder for temporary files and moves the file from there; on
    another disk that is a copy over the last good checkpoint, which a full disk cuts off.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None
    ) -> None:
        """Save `checkpoint` as the file `path`. OutputError where that fails, what was there being left."""
        path = Path(path)
        _check_finite(checkpoint)
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            remove_parts(path)
            with whole_file(path) as file:
                file.write(buffer.getbuffer())
        except OSError as error:
            raise OutputError(f"Cannot make the folder {path.parent}: {plain_words(error)}.") from error
        except OutputError as error:
            kept = (path.parent / "last.ckpt").is_file()
            what = " The checkpoint before it is whole; make room, then go on with --resume." if kept else ""
            raise OutputError(f"{error}{what}") from error


def _check_finite(checkpoint: dict[str, Any]) -> None:
    """ModelError where training has diverged: such weights are of no use, and those before may be."""
    weights = [value for value in checkpoint.get("state_dict", {}).values() if value.is_floating_point()]
    if all(bool(value.isfinite().all()) for value in weights):
        return
    raise ModelError(
        f"Training has diverged: after {checkpoint.get('batches_done', 'some')} steps weights are no numbers "
        "any more, and were not saved. Begin anew with a smaller --lr-scale."
    )


class KeptCheckpoints(lightning.Callback):
    """Saves `epoch-0005.ckpt`, and so on every so many epochs, which stay, to be started from."""

    def __init__(self, folder: Path, epochs: int, steps_an_epoch: int) -> None:
        self.folder, self.epochs, self.steps_an_epoch = folder, epochs, steps_an_epoch

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        epoch, rest = divmod(module.batches_done, self.steps_an_epoch)
        if rest == 0 and epoch % self.epochs == 0:
            trainer.save_checkpoint(self.folder / f"epoch-{epoch:04}.ckpt")


class BestCheckpoint(ModelCheckpoint):
    """Keeps the weights of the lowest validation loss, `best.ckpt`.

    It goes on with the best loss in whatever folder the run lies now, where Lightning's would begin anew; but
    where losses were `judged_by` something else they cannot be compared, and the best is sought anew.
    """

    def __init__(self, folder: Path, judged_by: str = "") -> None:
        super().__init__(folder, "best", monitor="val/loss", enable_version_counter=False)
        self._judged_by = judged_by

    def state_dict(self) -> dict[str, Any]:
        """As Lightning's, and by what was judged."""
        return super().state_dict() | {"judged_by": self._judged_by}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As Lightning's, with the paths brought to the folder of today."""
        if state_dict.get("judged_by", self._judged_by) != self._judged_by:
            rank_zero_only(print)("It is validated otherwise than before: the best loss is sought anew.")
            return
        folder = Path(str(self.dirpath))

        def here(path: str) -> str:
            return str(folder / Path(path).name) if path else path

        paths = ("best_model_path", "kth_best_model_path", "last_model_path")
        moved = state_dict | {name: here(state_dict[name]) for name in paths}
        moved["best_k_models"] = {here(path): score for path, score in state_dict["best_k_models"].items()}
        super().load_state_dict(moved | {"dirpath": self.dirpath})
