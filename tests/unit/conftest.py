from underlay_only import ignored

collect_ignore_glob = ignored()
