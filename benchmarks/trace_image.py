"""Run the demo, trace it, and write docs/images/trace.svg: ``python3 -m benchmarks.trace_image [NOTE]``.

NOTE names the machine. Run it on a machine that does nothing else.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.demo import answers, until
from benchmarks.machine import name, today
from benchmarks.support import ROOT, environment, process
from tests.support.network import free_tcp_port

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
