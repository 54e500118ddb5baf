"""Two processes, started as by torchrun, exchange gradients and a stop."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROCESS = """
from pathlib import Path

import torch
from edgecam_training.train.distributed import join

world = join("cpu")
gradients = [torch.full((3,), float(world.rank)), torch.full((2, 2), world.rank + 1.0)]
world.average(gradients)
stop = world.maximum(torch.tensor([float(world.rank)]))
result = f"rank {world.rank} of {world.size}: {gradients[0][0]} {gradients[1][1, 1]} {stop.item()}"
Path(f"{world.rank}.txt").write_text(result)  # two processes' standard output may get mixed
world.close()
"""


def test_gradients_are_averaged_and_one_stop_stops_all(tmp_path: Path) -> None:
    (tmp_path / "process.py").write_text(PROCESS)
    words = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "process.py"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-3000:]
    for rank in (0, 1):
        assert (tmp_path / f"{rank}.txt").read_text() == f"rank {rank} of 2: 0.5 1.5 1.0"
