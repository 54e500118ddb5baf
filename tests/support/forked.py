"""Python programs forked from a process that has imported the nodes' libraries: a third of the CPU time of a start.

``Popen`` and ``run`` are those of ``subprocess``, for commands of ``sys.executable`` with ``-m MODULE``, ``-c TEXT`` or
a script: the program is a child of this process with its own environment, streams, arguments and signals, and runs as
``__main__``. What acts before its first line is not as in a new interpreter: PYTHONPATH and other variables of Python,
the command line in /proc; and libraries are there before the program imports them. Tests of these start an interpreter.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
import types
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

LIBRARIES = (
    "edgecam_camera.node", "edgecam_rtp.sender_node", "edgecam_rtp.receiver_node", "edgecam_detector.node",
    "edgecam_collector.node", "edgecam_recorder.node", "edgecam_events.node", "edgecam_viewer.node",
    "edgecam_viewer.monitor_node", "edgecam_ros.container", "edgecam_core.cli.main",
)  # fmt: skip
LONGEST = 200_000  # bytes of a request: the environment and the arguments
_PR_SET_CHILD_SUBREAPER = 36
_lock = threading.Lock()


class Popen(subprocess.Popen):
    """As ``subprocess.Popen``; see the module."""

    def _execute_child(self, args: Any, *rest: Any) -> None:  # called by the constructor with all its arguments
        cwd, environment, ends, new_session = rest[4], rest[5], rest[9:15], rest[20]
        program, *words = map(os.fspath, args)
        assert program == sys.executable, f"not a Python program: {program}"
        request = {
            "words": words,
            "cwd": os.fspath(cwd or os.getcwd()),
            "environment": dict(os.environ if environment is None else environment),
            "session": new_session,
        }
        given = [end if end != -1 else number for number, end in enumerate((ends[0], ends[3], ends[5]))]
        self.pid = _start(json.dumps(request).encode(), given)
        self._child_created = True
        self._close_pipe_fds(*ends)  # type: ignore[attr-defined]


def run(
    command: Sequence[Any], *, input: Any = None, capture_output: bool = False, timeout: float | None = None,
    check: bool = False, **options: Any,
) -> subprocess.CompletedProcess[Any]:  # fmt: skip
    """As ``subprocess.run``; blocks until the program has ended, at most ``timeout`` seconds."""
    if capture_output:
        options |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    if input is not None:
        options["stdin"] = subprocess.PIPE
    with Popen(command, **options) as process:
        try:
            output, errors = process.communicate(input, timeout)
        except BaseException:
            process.kill()
            raise
    done = subprocess.CompletedProcess(command, process.returncode, output, errors)
    if check:
        done.check_returncode()
    return done


def _start(request: bytes, streams: list[int]) -> int:
    """Have a process forked, which becomes a child of this one; returns its process id."""
    prctl = ctypes.CDLL(None).prctl
    with _lock:
        server, _ = _server()
        prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        try:
            socket.send_fds(server, [request], streams)
            pid, ended = server.recv(100), server.recv(100)
        finally:
            prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
    assert ended == b"adopted", "the process that forks has ended"
    return int(pid)


@cache
def _server() -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """The process that forks, and the connection to it; it ends with this one."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with its:
        command = [sys.executable, __file__, str(its.fileno())]
        null = subprocess.DEVNULL
        return ours, subprocess.Popen(command, pass_fds=[its.fileno()], stdin=null, stdout=null)


def serve(requests: socket.socket) -> None:
    """Fork a process for each request until the test process has ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes of a terminal
    for name in LIBRARIES:
        importlib.import_module(name)
    gc.freeze()  # shared with the children
    tracing = Tracing()
    while True:
        request, streams, _, _ = socket.recv_fds(requests, LONGEST, 3)
        if not request:
            return
        tracing.call("before_fork")
        adopted, adopt = os.pipe()
        between = os.fork()
        if not between:
            if pid := os.fork():
                requests.send(str(pid).encode())
                os._exit(0)  # the test process adopts the child
            tracing.call("after_fork_child")
            requests.close()
            os.close(adopt)
            os.read(adopted, 1)  # waits until the other end is closed
            os.close(adopted)
            become(json.loads(request), streams)
        tracing.call("after_fork_parent")
        os.waitpid(between, 0)
        for file in (adopted, adopt, *streams):
            os.close(file)
        with contextlib.suppress(BrokenPipeError):
            requests.send(b"adopted")


class Tracing:
    """LTTng, which rclpy loads, has threads and must be told of a fork; ``ust`` is its prefix before version 2.13."""

    def __init__(self) -> None:
        loaded = {line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines()}
        libraries = [ctypes.CDLL(path) for path in loaded if "/liblttng-ust" in path]
        pairs = [(library, prefix) for library in libraries for prefix in ("lttng_ust", "ust")]
        self._found = [pair for pair in pairs if hasattr(pair[0], f"{pair[1]}_before_fork")][:1]
        self._signals = ctypes.create_string_buffer(128)  # a sigset_t

    def call(self, moment: str) -> None:
        for library, prefix in self._found:
            getattr(library, f"{prefix}_{moment}")(self._signals)


def become(request: dict[str, Any], streams: list[int]) -> NoReturn:
    """Run the requested program in this process, from the state of a new interpreter."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if request["session"]:
        os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environment"])
    first, *arguments = request["words"]
    sys.orig_argv = [sys.executable, first, *arguments]
    sys.path[0] = request["cwd"]
    if first == "-m":
        sys.argv = arguments
        sys.modules.pop(arguments[0], None)  # it runs as __main__
        runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
    elif first == "-c":
        sys.argv = [first, *arguments[1:]]
        sys.modules["__main__"] = main = types.ModuleType("__main__")
        exec(arguments[0], main.__dict__)
    else:
        sys.argv, sys.path[0] = [first, *arguments], os.path.dirname(first)
        runpy.run_path(first, run_name="__main__")
    sys.exit()


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
