"""Shared parts of the verbs that inspect a running ROS graph: a node, discovery, QoS, names."""
