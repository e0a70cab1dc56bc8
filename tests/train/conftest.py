"""Small tensors gain nothing from threads, and lose much where another process wants the processor."""

from __future__ import annotations

import torch

torch.set_num_threads(1)
