"""Each package builds in a folder of its own, as in the build farm's release repositories.

Of the other packages a build sees what its package.xml names, as on the build farm: colcon gives it no more.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = sorted(path.parent for path in (ROOT / "src").glob("*/package.xml"))
MADE = ("__pycache__", "*.egg-info", "*.pyc", "build", "dist")


def without_this_workspace() -> dict[str, str]:
    """The environment without any path to the repository's own packages."""
    own = (str(ROOT / "install"), str(ROOT / "build"), str(ROOT / "src"))

    def kept(value: str) -> str:
        return os.pathsep.join(part for part in value.split(os.pathsep) if not part.startswith(own))

    return {name: kept(value) if name.endswith("PATH") else value for name, value in os.environ.items()}


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the copy of each package in ``src/NAME/NAME``, built by one call of colcon."""
    folder = tmp_path_factory.mktemp("farm")
    roots = [folder / "src" / package.name for package in PACKAGES]
    for package, root in zip(PACKAGES, roots, strict=True):
        shutil.copytree(package, root / package.name, symlinks=True, ignore=shutil.ignore_patterns(*MADE))
    command = [sys.executable, "-m", "colcon", "build", "--event-handlers", "console_direct+", "--continue-on-error"]
    with (folder / "output").open("w") as output:
        subprocess.run(
            [*command, "--base-paths", *map(str, roots)],
            cwd=folder, env=without_this_workspace(), stdout=output, stderr=output, timeout=900, check=False,
        )  # fmt: skip
    return folder


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_a_package_builds_alone(package: Path, build: Path) -> None:
    copy = build / "src" / package.name / package.name
    assert [path for path in copy.rglob("*") if path.is_symlink()] == [], "a link may lead out of the package"
    # The exit code of its build, as colcon keeps it.
    code = build / "build" / package.name / "colcon_build.rc"
    assert code.read_text() == "0\n", (build / "output").read_text()
    installed = build / "install" / package.name
    assert (installed / "share" / "ament_index" / "resource_index" / "packages" / package.name).exists()
    found = {path.relative_to(copy) for path in copy.rglob("*.*") if path.is_file()}
    for part in ("launch", "config", "media"):
        for file in (one for one in found if one.parts[0] == part):
            assert (installed / "share" / package.name / file).read_bytes() == (copy / file).read_bytes()
    modules = {file for file in found if file.parts[0] == package.name}
    places = {path.parent for path in installed.rglob(f"{package.name}/__init__.py")}
    assert modules <= {Path(package.name) / path.relative_to(place) for place in places for path in place.rglob("*.*")}


def test_the_top_of_the_repository_leads_to_what_bringup_installs() -> None:
    for name in ("launch", "config", "media"):
        assert (ROOT / name).resolve() == ROOT / "src" / "edgecam_bringup" / name


@pytest.fixture(scope="module")
def installed_bringup(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Builds edgecam_bringup for a distribution, once."""

    @functools.cache
    def built(distribution: str) -> Path:
        package, folder = ROOT / "src" / "edgecam_bringup", tmp_path_factory.mktemp(distribution)
        shutil.copytree(package, folder / package.name)
        environment = without_this_workspace() | {"ROS_DISTRO": distribution}
        for command in (
            ["-S", folder / package.name, "-B", folder / "build", f"-DCMAKE_INSTALL_PREFIX={folder / 'install'}"],
            ["--install", folder / "build"],
        ):
            subprocess.run(["cmake", *command], env=environment, check=True, capture_output=True, timeout=600)
        return folder / "install" / "share" / package.name

    return built


def test_on_humble_our_own_action_provides_on_exit(installed_bringup: Callable[[str], Path]) -> None:
    installed = installed_bringup("humble")
    for path in sorted((ROOT / "launch").glob("*.launch.xml")):
        ours, humble = ElementTree.parse(path), ElementTree.parse(installed / "launch" / path.name)
        assert [one.attrib for one in humble.iter("humble_node")] == [one.attrib for one in ours.iter("node")]
        for node in humble.iter("humble_node"):
            node.tag = "node"
        assert [(one.tag, one.attrib) for one in humble.iter()] == [(one.tag, one.attrib) for one in ours.iter()]


@pytest.mark.parametrize(
    ("distribution", "variable"),
    [("humble", "FASTRTPS"), ("jazzy", "FASTRTPS"), ("kilted", "FASTDDS"), ("lyrical", "FASTDDS")],
)
def test_the_profile_hook_sets_the_variable_that_the_distribution_reads(
    distribution: str, variable: str, installed_bringup: Callable[[str], Path]
) -> None:
    installed = installed_bringup(distribution)
    [hook] = (installed / "environment").glob("fastdds_profile.dsv")
    assert hook.read_text() == (
        f"set-if-unset;{variable}_DEFAULT_PROFILES_FILE;share/edgecam_bringup/config/fastdds.xml\n"
    )
