#!/bin/sh
# Make a virtual environment with the ROS 2 wheels look like /opt/ros/<distro>: write local_setup.sh and
# local_setup.bash into it, so that `. install/setup.bash` of a workspace chains to it.
# Usage: write_local_setup.sh VENV DISTRO
set -eu
venv=$(cd "$1" && pwd)
distro=$2
site=$("$venv/bin/python3" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
for name in local_setup.sh local_setup.bash setup.sh setup.bash; do
  cat >"$venv/$name.part" <<EOF
# Makes $venv a ROS 2 underlay of this shell. Written by $(basename "$0").
_edgecam_prepend() {  # variable, folder
  eval "_edgecam_old=\\\${\$1:-}"
  case ":\$_edgecam_old:" in
    *":\$2:"*) ;;
    *) eval "export \$1=\"\$2\${_edgecam_old:+:\$_edgecam_old}\"" ;;
  esac
}
_edgecam_prepend AMENT_PREFIX_PATH "$venv"
_edgecam_prepend CMAKE_PREFIX_PATH "$venv"
_edgecam_prepend PATH "$venv/bin"
for _edgecam_dir in "$venv/lib" "$site"/ros_*.libs; do
  _edgecam_prepend LD_LIBRARY_PATH "\$_edgecam_dir"
done
# The library path is set, so the wheels need not restart every Python to set it themselves.
export _ROS_WHEELS_BOOTSTRAP_COMPLETE=1 ROS_DISTRO=$distro ROS_VERSION=2 ROS_PYTHON_VERSION=3
unset -f _edgecam_prepend
unset _edgecam_old _edgecam_dir
EOF
  mv "$venv/$name.part" "$venv/$name"
done
