"""docs/reference/parameters.md and config/<node>.yaml, from the settings tables.

A parameter that is also a launch argument is ``$(var name)`` in the YAML file; the launch files substitute it.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass

import yaml
from edgecam_core.settings import Settings, Spec


@dataclass(frozen=True)
class Page:
    """One node: its settings class, the launch file that starts it, and the arguments that file passes on."""

    name: str
    settings: str
    launch: str
    launch_arguments: tuple[str, ...]

    def table(self) -> type[Settings]:
        module, _, name = self.settings.rpartition(".")
        found: type[Settings] = getattr(importlib.import_module(module), name)
        return found


PAGES = (
    Page("camera", "edgecam_core.camera.settings.CameraSettings", "camera.launch.xml",
         ("source", "camera_name", "camera_info_url", "loop", "image_width", "image_height", "framerate")),
    Page("rtp_sender", "edgecam_rtp.settings.SenderNodeSettings", "rtp_sender.launch.xml",
         ("host", "port", "bitrate", "bitrate_min")),
    Page("rtp_receiver", "edgecam_rtp.settings.ReceiverNodeSettings", "rtp_receiver.launch.xml",
         ("port", "camera_name")),
    Page(
        "detector",
        "edgecam_detector.settings.DetectorNodeSettings",
        "detector.launch.xml",
        ("model", "labels", "backend", "precision"),
    ),
    Page("collector", "edgecam_collector.settings.CollectorNodeSettings", "collector.launch.xml", ("directory",)),
    Page("recorder", "edgecam_recorder.settings.RecorderNodeSettings", "recorder.launch.xml", ("directory", "rolling")),
    Page("events", "edgecam_events.settings.EventsNodeSettings", "events.launch.xml", ("events_directory",)),
    Page("viewer", "edgecam_viewer.settings.ViewerSettings", "viewer.launch.xml",
         ("host", "port", "collection", "events")),
    Page("monitor", "edgecam_viewer.settings.MonitorSettings", "monitor.launch.xml",
         ("seconds", "summary_file", "viewer_port")),
)  # fmt: skip


def plain(value: object) -> str:
    """A value as YAML flow text."""
    if isinstance(value, tuple):
        value = list(value)
    return yaml.safe_dump(value, default_flow_style=True, width=10_000).strip().removesuffix("...").strip()


def yaml_text(page: Page) -> str:
    lines = [
        f"# Every parameter of {page.launch}, with its default. Made by scripts/generate_docs.py: do not edit;",
        "# put your values into another file and start with params_file:=/path/to/it.yaml.",
        "/**:",
        "  ros__parameters:",
    ]
    for spec in page.table().specs().values():
        facts = [spec.type_name, spec.range_text(), "settable while running" if spec.runtime else ""]
        lines.append(f"    # {spec.text} ({'; '.join(fact for fact in facts if fact)})")
        lines.append(f"    {spec.name}: {yaml_value(page, spec)}")
    return "\n".join(lines) + "\n"


def yaml_value(page: Page, spec: Spec) -> str:
    if spec.name not in page.launch_arguments:
        return plain(spec.default)
    if spec.item_type is not str:
        return f"$(var {spec.name})"
    # As JSON: quotes and backslashes of the argument arrive unchanged and "007" stays a string. The blank separates a
    # final quote or backslash from the end of the literal.
    return f"""$(eval "__import__('json').dumps(r'''$(var {spec.name}) '''[:-1], ensure_ascii=False)")"""


def markdown_row(spec: Spec) -> str:
    default = plain(spec.default).replace("|", "\\|")
    live = "yes" if spec.runtime else ""
    return f"| `{spec.name}` | {spec.type_name} | `{default}` | {spec.range_text()} | {live} | {spec.text} |"


def text() -> str:
    parts = [
        "# Parameters\n\n"
        "Made by `scripts/generate_docs.py` from the tables in the code. *Live* parameters can be set while\n"
        "the node runs (`ros2 param set`); the others are fixed at its start. Every node also has `autostart`\n"
        "(bool, `true`): configure and activate automatically; `false` leaves that to a lifecycle manager.\n"
    ]
    for page in PAGES:
        rows = "\n".join(markdown_row(spec) for spec in page.table().specs().values())
        parts.append(
            f"## {page.name}\n\nStarted by `launch/{page.launch}`, defaults in `config/{page.name}.yaml`.\n\n"
            f"| name | type | default | range | live | what it does |\n|---|---|---|---|---|---|\n{rows}\n"
        )
    return "\n".join(parts)
