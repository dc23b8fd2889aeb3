"""One thread a test process: small networks wait longer for a second thread than it helps."""

import torch

torch.set_num_threads(1)
