#!/bin/bash
# Source the workspace (it chains to the ROS it was built with), then exec the command, so that it gets the signals.
# shellcheck disable=SC1091
source /opt/edgecam/src/install/setup.bash
exec "$@"
