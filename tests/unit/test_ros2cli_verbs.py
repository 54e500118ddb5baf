"""The parts of the ros2 command that need no ROS graph."""

from __future__ import annotations

import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from launch_plan import Workbench
from ros2cli import cli
from ros2cli.errors import CliError
from ros2cli.graph.participants import READINGS, UNICAST_OFFSET, LocalParticipants, discovery_ports
from ros2cli.graph.rates import BandwidthMeter, DelayMeter, RateMeter
from ros2cli.verbs.topic_echo import field_path

SECOND = 1_000_000_000


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workbench:
    bench = Workbench(tmp_path)
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(bench.prefix))
    monkeypatch.setattr("sys.prefix", "/no/environment")
    return bench


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[object, str]:
    """The exit code of a command, and its output."""
    try:
        code: object = cli.main(list(words))
    except SystemExit as exit_:
        code = exit_.code
    return code, capsys.readouterr().out


def test_every_verb_has_a_help_text(capsys: pytest.CaptureFixture[str]) -> None:
    code, out = run(capsys)
    assert code == 0
    assert "small replacement for ros2cli" in out
    for name in cli.verb_names():
        code, out = run(capsys, *name.split("_", 1), "--help")
        assert code == 0
        assert cli.summary(name).split()[0] in out
    code, out = run(capsys, "topic")
    assert code == 0
    assert "echo" in out


@pytest.mark.parametrize("words", [("nonsense",), ("topic", "nonsense"), ("topic", "echo"), ("pkg", "list", "x")])
def test_unknown_words_are_refused(capsys: pytest.CaptureFixture[str], words: tuple[str, ...]) -> None:
    assert run(capsys, *words)[0] == 2


def test_pkg(bench: Workbench, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "pkg", "list") == (None, "zoo\n")
    assert run(capsys, "pkg", "prefix", "zoo") == (None, f"{bench.prefix}\n")
    assert run(capsys, "pkg", "prefix", "--share", "zoo") == (None, f"{bench.prefix}/share/zoo\n")
    assert run(capsys, "pkg", "prefix", "nope") == ("Package not found", "")
    assert run(capsys, "pkg", "executables") == (None, "zoo lion\n")
    assert run(capsys, "pkg", "executables", "zoo", "--full-path")[1] == f"{bench.prefix}/lib/zoo/lion\n"
    assert run(capsys, "pkg", "executables", "nope")[0] == "Package 'nope' not found"


def test_pkg_xml(bench: Workbench, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = bench.prefix / "share" / "zoo" / "package.xml"
    assert run(capsys, "pkg", "xml", "zoo")[0] == "Package xml manifest not found"
    manifest.write_text('<?xml version="1.0"?>\n<package format="3"><name>zoo</name><depend>a</depend>'
                        "<depend>b</depend></package>\n")  # fmt: skip
    code, out = run(capsys, "pkg", "xml", "zoo")
    assert (code, out.startswith('<package format="3"><name>zoo</name>')) == (None, True)
    assert run(capsys, "pkg", "xml", "zoo", "-t", "depend") == (None, "a\nb\n")
    assert run(capsys, "pkg", "xml", "zoo", "--tag", "version") == ("XML tag not found", "")
    assert run(capsys, "pkg", "xml", "nope") == ("Package not found", "")
    manifest.write_text("<package>")
    assert "is not valid XML" in str(run(capsys, "pkg", "xml", "zoo")[0])


def test_launch_and_run_name_what_they_did_not_find(bench: Workbench, capsys: pytest.CaptureFixture[str]) -> None:
    assert "Package 'nope' not found" in str(run(capsys, "launch", "nope", "x.launch.xml")[0])
    assert "was not found in the share directory of package 'zoo'" in str(run(capsys, "launch", "zoo", "x.xml")[0])
    assert run(capsys, "launch", "./x.launch.xml")[0] == "there is no launch file './x.launch.xml'"
    assert run(capsys, "run", "zoo", "tiger")[0] == "No executable found"


def test_launch_finds_a_file_in_a_package_and_prints_its_plan(
    bench: Workbench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.write("prefix/share/zoo/launch/x.launch.xml", '<node pkg="zoo" exec="lion" name="leo"/>')
    code, out = run(capsys, "launch", "--print", "zoo", "x.launch.xml")
    assert (code, out) == (None, f"lion-1: {bench.prefix}/lib/zoo/lion --ros-args -r __node:=leo\n")


def test_interface_show(bench: Workbench, capsys: pytest.CaptureFixture[str]) -> None:
    share = bench.prefix / "share" / "zoo"
    index = bench.prefix / "share" / "ament_index" / "resource_index" / "rosidl_interfaces"
    index.mkdir()
    (index / "zoo").write_text("msg/Cage.idl\nmsg/Cage.msg\nsrv/Feed.srv\nsrv/Feed_Request.msg\n")
    (share / "msg").mkdir()
    (share / "srv").mkdir()
    cage_text = '# A cage.\nstring NAME="#1"  # not a comment inside\n\nint32 size # m2\n'
    (share / "msg" / "Cage.msg").write_text(cage_text)
    (share / "srv" / "Feed.srv").write_text("zoo/Cage[<=3] cages\nCage one\n---\nbool ok\n")
    assert run(capsys, "interface", "list")[1] == "Messages:\n    zoo/msg/Cage\nServices:\n    zoo/srv/Feed\nActions:\n"
    cage = '\tstring NAME="#1"\n\tint32 size\n'
    assert run(capsys, "interface", "show", "zoo/srv/Feed")[1] == (
        f"zoo/Cage[<=3] cages\n{cage}Cage one\n{cage}---\nbool ok\n"
    )
    assert run(capsys, "interface", "show", "zoo/msg/Cage")[1].startswith("# A cage.\n")
    assert run(capsys, "interface", "show", "--no-comments", "zoo/msg/Cage")[1] == cage.replace("\t", "")
    assert run(capsys, "interface", "show", "zoo/Cage")[0] == (
        "Invalid name 'zoo/Cage'. Expected three parts separated by '/'"
    )


def test_field_paths() -> None:
    assert field_path("pose.position") == ["pose", "position"]
    assert field_path("detections[0].results[12].id") == ["detections", 0, "results", 12, "id"]
    for text in ("", ".", "a[x]", "a["):
        with pytest.raises(CliError, match="Invalid field value"):
            field_path(text)


def test_rate_over_a_window() -> None:
    meter = RateMeter(window=4)
    assert meter.take() is None
    for now in (0, 5, 6, 7, 8, 9):
        meter.arrived(now * SECOND // 10)
    rate = meter.take()
    assert rate is not None
    assert (round(rate.rate, 6), rate.window) == (10.0, 4)
    assert (round(rate.shortest, 6), round(rate.longest, 6), round(rate.deviation, 6)) == (0.1, 0.1, 0.0)
    assert meter.take() is None  # nothing new
    meter.arrived(0)  # the clock went back
    assert meter.take() is None


def test_bandwidth_units() -> None:
    meter = BandwidthMeter(window=10)
    meter.arrived(0, 900_000)
    assert meter.report(SECOND) is None
    meter.arrived(SECOND // 2, 900_000)
    assert meter.report(SECOND) == ("1.80 MB/s from 2 messages\n\tMessage size mean: 0.90 MB min: 0.90 MB max: 0.90 MB")


def test_delay_over_a_window() -> None:
    meter = DelayMeter(window=2)
    meter.arrived(0, 5)  # simulated time that has not started
    assert meter.report() is None
    for delay in (9, 1, 3):
        meter.arrived(100 * SECOND, 100 * SECOND - delay * SECOND)
    assert meter.report() == "average delay: 2.000\n\tmin: 1.000s max: 3.000s std dev: 1.00000s window: 2"
    assert meter.report() == "no new messages"
    meter.arrived(50 * SECOND, 51 * SECOND)  # the clock went back; the stamp is ahead
    assert meter.report() == "average delay: -1.000\n\tmin: -1.000s max: -1.000s std dev: 0.00000s window: 1"


def test_discovery_ports_of_one_domain() -> None:
    first = 7400 + 250 * 3
    ports = [first, first + 10, first + 11, first + 12, first + 249, first + 250 + 10, 53]
    table = "head\n" + "\n".join(f" 1: 0100007F:{port:04X} 00000000:0000 07" for port in ports)
    assert discovery_ports(3, table) == {first + 10, first + 12}


CHURN = """
import socket
while True:
    opened = [socket.socket(type=socket.SOCK_DGRAM) for _ in range(40)]
    for one in opened:
        one.bind(("127.0.0.1", 0))
    for one in opened:
        one.close()
"""


def test_sockets_that_come_and_go_hide_no_participant(monkeypatch: pytest.MonkeyPatch) -> None:
    # The port of an unused domain: this one's first index, with more sockets than one page of the table holds.
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket(type=socket.SOCK_DGRAM)) for _ in range(80)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        own = sockets[0].getsockname()[1]
        monkeypatch.setattr("ros2cli.graph.participants.PORT_BASE", own - UNICAST_OFFSET)
        monkeypatch.setattr("ros2cli.graph.participants.INDICES", 1)
        others = subprocess.Popen([sys.executable, "-c", CHURN])
        stack.callback(others.wait)
        stack.callback(others.kill)
        local = LocalParticipants(0)
        counts = []
        for _ in range(300 + READINGS):
            local.read()
            counts.append(local.count())
    assert counts == [0] * (READINGS - 1) + [1] * (300 + 1)


def test_a_participant_that_has_ended_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ros2cli.graph.participants.INDICES", 1)
    local = LocalParticipants(0)
    with socket.socket(type=socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        monkeypatch.setattr("ros2cli.graph.participants.PORT_BASE", one.getsockname()[1] - UNICAST_OFFSET)
        for _ in range(READINGS):
            local.read()
        assert local.count() == 1
    for _ in range(READINGS):
        local.read()
    assert local.count() == 0
