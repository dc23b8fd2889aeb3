"""Settings of the whole suite."""

import os

import torch

# Small tensors gain nothing from several threads, and parallel test processes would fight.
torch.set_num_threads(1)
os.environ.setdefault("OMP_NUM_THREADS", "1")
