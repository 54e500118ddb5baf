#!/usr/bin/env python3
"""Run the demo, trace it, and write docs/images/trace.svg. Usage: make_trace_image.py [NOTE]; NOTE names the machine.

Run it in a shell that has sourced install/setup.bash, on a machine that does nothing else.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.demo import answers, until  # noqa: E402
from benchmarks.machine import name, today  # noqa: E402
from benchmarks.support import environment, process  # noqa: E402
from tests.support.network import free_tcp_port  # noqa: E402

WARM_UP_SECONDS = 8


def main() -> int:
    note = sys.argv[1] if len(sys.argv) > 1 else f"{name()}, {today()}"
    env, port = environment(), free_tcp_port()
    image = ROOT / "docs" / "images" / "trace.svg"
    trace = [sys.executable, "-m", "edgecam_core.cli.main", "trace"]
    with tempfile.TemporaryDirectory() as folder, process([str(ROOT / "scripts" / "demo"), f"--port={port}"], env):
        until(lambda: answers(port))
        # The first trace lets the pipeline settle.
        subprocess.run([*trace, f"--seconds={WARM_UP_SECONDS}"], env=env, check=True, stdout=subprocess.DEVNULL)
        words = [f"--svg={image}", f"--json={Path(folder) / 'trace.json'}", f"--note={note}"]
        return subprocess.run([*trace, "--seconds=5", *words], env=env, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
