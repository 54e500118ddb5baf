"""Commands of ``edgecam`` for training, found by their file names. None imports PyTorch before it runs."""
