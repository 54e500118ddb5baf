"""Run and trace the demo with one viewer, write docs/images/trace.svg: ``python3 -m benchmarks.trace_image [NOTE]``.

Without a viewer the page's server encodes nothing, and the chart would lack its last stage.

NOTE names the machine. Run it on an otherwise idle machine.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.demo import answers, until
from benchmarks.machine import name, today
from benchmarks.support import ROOT, environment, peer, process
from tests.support.network import free_tcp_port

WARM_UP_SECONDS = 8


def main() -> int:
    note = sys.argv[1] if len(sys.argv) > 1 else f"{name()}, {today()}"
    env, port = environment(), free_tcp_port()
    image = ROOT / "docs" / "images" / "trace.svg"
    trace = [sys.executable, "-m", "edgecam_core.cli.main", "trace"]
    demo = [str(ROOT / "scripts" / "demo"), f"--port={port}"]
    with tempfile.TemporaryDirectory() as folder, process(demo, env), process(peer("viewers", port, 1), env):
        until(lambda: answers(port))
        # The first trace lets the pipeline settle.
        subprocess.run([*trace, f"--seconds={WARM_UP_SECONDS}"], env=env, check=True, stdout=subprocess.DEVNULL)
        words = [f"--svg={image}", f"--json={Path(folder) / 'trace.json'}", f"--note={note}"]
        return subprocess.run([*trace, "--seconds=5", *words], env=env, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
