"""Which package owns a test file: `colcon test` runs a package's own files, `make test` all of them."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
REPOSITORY = ""  # tests of scripts, documents, containers and underlay/: only `make test` runs them
# The first pattern that matches a path below tests/ decides.
OWNERS = {
    "node/test_camera*": "edgecam_camera",
    "node/test_collector*": "edgecam_collector",
    "node/test_detector*": "edgecam_detector",
    "node/test_record*": "edgecam_recorder",
    "node/test_replay*": "edgecam_recorder",
    "node/test_rtp*": "edgecam_rtp",
    "node/test_foxglove*": REPOSITORY,
    "node/test_viewer*": "edgecam_viewer",
    "node/test_label*": "edgecam_viewer",
    "node/test_monitor*": "edgecam_viewer",
    "node/test_top*": "edgecam_viewer",
    "node/test_ros2cli*": REPOSITORY,
    "node/test_cv_bridge*": REPOSITORY,
    "node/test_event_message*": "edgecam_msgs",
    "node/test_events*": "edgecam_events",
    "node/test_vision_msgs*": REPOSITORY,
    "node/*": "edgecam_ros",
    "launch/*": "edgecam_bringup",
    "training/*": "edgecam_training",
    "unit/test_improve*": "edgecam_training",
    "unit/test_collect_collection*": "edgecam_training",
    "unit/test_exchange*": "edgecam_training",
    "unit/test_parity*": "edgecam_training",
    "unit/test_duplicates*": "edgecam_ros",
    "unit/test_rtp_direct*": "edgecam_rtp",
    "unit/test_viewer*": "edgecam_viewer",
    "unit/test_label*": "edgecam_viewer",
    "unit/test_monitor*": "edgecam_viewer",
    "unit/test_top*": "edgecam_viewer",
    "unit/test_bench*": REPOSITORY,
    "unit/test_doc[ks]*": REPOSITORY,
    "unit/test_generated_docs*": REPOSITORY,
    "unit/test_house*": REPOSITORY,
    "unit/test_package*": REPOSITORY,
    "unit/test_planted*": REPOSITORY,
    "unit/test_release*": REPOSITORY,
    "unit/test_ros2cli*": REPOSITORY,
    "unit/test_hard_runs*": REPOSITORY,
    "unit/test_run_parts*": REPOSITORY,
    "unit/test_test_script*": REPOSITORY,
    "unit/test_setup*": REPOSITORY,
    "unit/*": "edgecam_core",
}


def owner(path: Path) -> str:
    """The package of a test file, or ``REPOSITORY``.

    Raises:
        LookupError: the table has no pattern for it.
    """
    name = path.relative_to(TESTS).as_posix()
    for pattern, package in OWNERS.items():
        if fnmatch(name, pattern):
            return package
    raise LookupError(f"tests/support/owners.py has no pattern for {name}")
