"""Two processes, started by torchrun's agent, exchange gradients and a stop."""

from __future__ import annotations

import torch
from edgecam_training.train.distributed import join
from torch.distributed.launcher.api import LaunchConfig, elastic_launch


def exchange() -> str:
    """What each of the two processes computes."""
    world = join("cpu")
    gradients = [torch.full((3,), float(world.rank)), torch.full((2, 2), world.rank + 1.0)]
    world.average(gradients)
    stop = world.maximum(torch.tensor([float(world.rank)]))
    world.close()
    return f"rank {world.rank} of {world.size}: {gradients[0][0]} {gradients[1][1, 1]} {stop.item()}"


def test_gradients_are_averaged_and_one_stop_stops_all() -> None:
    # The options of `torchrun --standalone`. Forked processes need not import PyTorch again, which takes seconds.
    config = LaunchConfig(
        min_nodes=1, max_nodes=1, nproc_per_node=2, rdzv_backend="c10d", rdzv_endpoint="localhost:0", run_id="test",
        start_method="fork", max_restarts=0,
    )  # fmt: skip
    done = elastic_launch(config, exchange)()
    assert done == {rank: f"rank {rank} of 2: 0.5 1.5 1.0" for rank in (0, 1)}
