"""Versions agree everywhere, and a release changes every place."""

from __future__ import annotations

from pathlib import Path

import pytest
from catkin_pkg.changelog import get_changelog_from_path

from scripts import release

CHANGES = "# Changelog\n\n## [Unreleased]\n\n### Added\n\n- A camera.\n\n## [0.1.0] - 2026-11-23\n\n- All else.\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    package = tmp_path / "src" / "edgecam_core"
    package.mkdir(parents=True)
    (package / "package.xml").write_text("<package><version>0.1.0</version></package>")
    (package / "setup.py").write_text('setup(version="0.1.0")')
    messages = tmp_path / "underlay" / "vision_msgs"
    messages.mkdir(parents=True)
    (messages / "package.xml").write_text("<package><version>4.1.1</version></package>")
    (tmp_path / "VERSION").write_text("0.1.0\n")
    (tmp_path / "CHANGELOG.md").write_text(CHANGES)
    return tmp_path


def test_this_repository_agrees_with_its_version_file() -> None:
    assert release.problems() == []


def test_a_package_with_another_version_is_named(project: Path) -> None:
    (project / "src" / "edgecam_core" / "setup.py").write_text('setup(version="0.0.9")')
    assert release.problems(project) == ["src/edgecam_core/setup.py has version 0.0.9; VERSION is 0.1.0"]


HISTORY = "^^^\nLog\n^^^\n\n{}0.1.0 (2026-11-23)\n------------------\n* All.\n"


@pytest.mark.parametrize(
    ("before", "changes"), [("Forthcoming\n-----------\n* A camera.\n\n", ["A camera."]), ("", ["No change."])]
)
def test_a_version_closes_each_package_s_changelog(project: Path, before: str, changes: list[str]) -> None:
    path = project / "src" / "edgecam_core" / "CHANGELOG.rst"
    path.write_text(HISTORY.format(before))
    release.cut("0.2.0", project)
    assert release.problems(project) == []
    log = get_changelog_from_path(str(path))
    assert [version for version, _, _ in log.foreach_version()] == ["0.1.0", "0.2.0"]
    assert [str(item) for item in log.get_content_of_version("0.2.0")] == [f"* {change}" for change in changes]


def test_a_changelog_of_an_older_version_is_named(project: Path) -> None:
    (project / "src" / "edgecam_core" / "CHANGELOG.rst").write_text(HISTORY.format("").replace("0.1.0", "0.0.9"))
    assert release.problems(project) == ["src/edgecam_core/CHANGELOG.rst begins with neither Forthcoming nor 0.1.0"]


def test_cutting_a_version_changes_every_place_and_keeps_the_history(project: Path) -> None:
    release.cut("0.2.0", project)
    assert release.problems(project) == []
    assert "4.1.1" in (project / "underlay" / "vision_msgs" / "package.xml").read_text()
    changes = (project / "CHANGELOG.md").read_text()
    assert changes.index("[Unreleased]") < changes.index("[0.2.0] - ") < changes.index("- A camera.")
    assert changes.index("- A camera.") < changes.index("[0.1.0]")


@pytest.mark.parametrize("version", ["0.1.0", "0.0.9", "1.0", "v1.0.0"])
def test_an_invalid_or_older_version_is_refused(project: Path, version: str) -> None:
    with pytest.raises(ValueError, match=r"version"):
        release.cut(version, project)


def test_an_empty_changelog_section_is_not_released(project: Path) -> None:
    release.cut("0.2.0", project)
    with pytest.raises(ValueError, match="nothing under"):
        release.cut("0.3.0", project)
