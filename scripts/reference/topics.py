"""docs/reference/topics.md: topics and services, from the table in edgecam_ros/interface.py."""

from __future__ import annotations

from edgecam_ros.interface import ENDPOINTS, Endpoint

HEAD = """\
# Topics and services

Made by `scripts/generate_docs.py` from `src/edgecam_ros/edgecam_ros/interface.py`. Names are relative to the node's
namespace, `/camera` by default; `~` is the node's own name.

Every node is a lifecycle node: it also has the standard services of `lifecycle_msgs` (`~/change_state`,
`~/get_state`, ...) and of parameters (`~/set_parameters`, `~/describe_parameters`, ...).
"""


def row(one: Endpoint) -> str:
    return f"| {one.kind} | `{one.name}` | `{one.type}` | {one.qos} | {one.text} |"


def text() -> str:
    parts = [HEAD]
    for node in dict.fromkeys(one.node for one in ENDPOINTS):
        rows = "\n".join(row(one) for one in ENDPOINTS if one.node == node)
        parts.append(f"## {node}\n\n| | name | type | quality of service | meaning |\n|---|---|---|---|---|\n{rows}\n")
    return "\n".join(parts)
