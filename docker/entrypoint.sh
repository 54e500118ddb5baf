#!/bin/bash
# Open the workspace (it chains to the ROS it was built on), then become the command: signals reach it directly.
# shellcheck disable=SC1091
source /opt/edgecam/src/install/setup.bash
exec "$@"
