"""The real Python bindings of several TensorRT versions, importable on any machine.

The wheels contain only the bindings (about 1 MB each). They load with a stub library that has the name of TensorRT's
own and the symbols that they need: classes, enums and signatures are the real ones, but nothing can be built.

    python3 tests/support/trt_bindings.py     # downloads them into edgecam's cache
"""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from edgecam_core.cache import cache_dir

# Version -> package and release: JetPack 5, JetPack 6, JetPack 7, the newest. 8.5 has no wheel.
RELEASES = {
    "8.6": ("tensorrt_bindings", "8.6.1"),
    "10.3": ("tensorrt_cu12_bindings", "10.3.0"),
    "10.13": ("tensorrt_cu12_bindings", "10.13.3.9"),
    "11.4": ("tensorrt_cu12_bindings", "11.4.0.106"),
}


class BindingsUnavailable(Exception):
    """The bindings of a version are not available; the message has the reason."""


@dataclass(frozen=True)
class Bindings:
    """The folder of a version's package, and the stub libraries that it loads."""

    package: Path
    libraries: Path

    def environment(self) -> dict[str, str]:
        """The environment of a process that can import them."""
        paths = [str(self.package), *sys.path]
        return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "LD_LIBRARY_PATH": str(self.libraries)}


def bindings(version: str) -> Bindings:
    """The bindings of a version, from the cache or downloaded first.

    Raises:
      BindingsUnavailable: no network, no wheel for this Python, or no compiler.
    """
    name, release = RELEASES[version]
    tag = f"cp{sys.version_info.major}{sys.version_info.minor}"
    folder = cache_dir("test") / "tensorrt-bindings" / f"{name}-{release}-{tag}"
    if not (folder / "stubs").is_dir():
        _fetch(f"{name}=={release}", folder)
        (library,) = (folder / "package" / "tensorrt_bindings").glob("tensorrt*.so")
        _compile_stubs(library, folder)
    return Bindings(folder / "package", folder / "stubs")


def _run(*command: str) -> str:
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout
    except FileNotFoundError as error:
        raise BindingsUnavailable(f"{command[0]} is not installed") from error
    except subprocess.SubprocessError as error:
        reported = (getattr(error, "stderr", "") or str(error)).strip().splitlines()
        raise BindingsUnavailable(f"{' '.join(command[:3])}: {reported[-1] if reported else error}") from error


def _fetch(requirement: str, folder: Path) -> None:
    wheels = folder / "wheel"
    options = ("--quiet", "--no-deps", "--only-binary", ":all:", "--retries", "1", "--timeout", "20")
    _run(sys.executable, "-m", "pip", "download", *options, "--dest", str(wheels), requirement)
    (wheel,) = wheels.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "package")


def _compile_stubs(library: Path, folder: Path) -> None:
    """A stub for each TensorRT library that the bindings load; together they define all undefined symbols."""
    needed = [line.split()[1] for line in _run("objdump", "-p", str(library)).splitlines() if "NEEDED" in line]
    undefined = [line.split()[1] for line in _run("nm", "-D", "--undefined-only", str(library)).splitlines()]
    symbols = [name for name in undefined if "@" not in name and not name.startswith(("__gmon", "_ITM"))]
    python = [name for name in symbols if name.startswith(("Py", "_Py"))]
    unfinished = folder / "unfinished"
    unfinished.mkdir(exist_ok=True)
    source = unfinished / "stub.c"
    source.write_text("\n".join(f"void *{name}(void) {{ return 0; }}" for name in symbols if name not in python))
    for name in needed:
        if name.startswith("libnv"):
            _run("gcc", "-shared", "-fPIC", "-o", str(unfinished / name), str(source), f"-Wl,-soname,{name}")
    unfinished.rename(folder / "stubs")


if __name__ == "__main__":
    for known in RELEASES:
        try:
            print(known, bindings(known).package)
        except BindingsUnavailable as reason:
            print(f"{known}: {reason}; the tests of that version are left out", file=sys.stderr)
