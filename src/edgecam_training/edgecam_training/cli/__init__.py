"""Training commands of ``edgecam``, found by file name. No command imports PyTorch before it runs."""
