"""What the verbs share that look at a running ROS graph: a node, discovery, QoS, names."""
