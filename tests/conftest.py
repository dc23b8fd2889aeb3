"""Settings of the whole suite."""

import os

import torch
from hypothesis import settings

# Small tensors gain nothing from several threads, and parallel test processes would fight.
torch.set_num_threads(1)
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The same examples each time; --hypothesis-profile default looks for new ones.
settings.register_profile("fixed", derandomize=True)
settings.load_profile("fixed")

# Without a GPU the kernels are interpreted; Triton reads this when it is first imported.
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")
