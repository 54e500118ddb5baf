"""No exception is lost and none ends a node: each is logged once, shown in the diagnostics, rolled back and retried."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import forked
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from edgecam_core.errors import ImageError, SettingError
from edgecam_core.settings import Settings, setting
from edgecam_ros.diagnostics import Status
from edgecam_ros.node import EdgecamNode
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from ros_peer import Peer
from running import running, spinning
from std_msgs.msg import String
from std_srvs.srv import Trigger
from waiting import wait_until

from edgecam_ros import faults
from edgecam_ros import node as node_module

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR


@dataclass(frozen=True, kw_only=True)
class FragileSettings(Settings):
    rate: float = setting(1.0, "Any number.", low=0.0, high=10.0, runtime=True)


@dataclass
class FailurePlan:
    """Where exceptions are raised, and how often; the calls."""

    fails: dict[str, list[Exception]] = field(default_factory=dict)
    called: list[str] = field(default_factory=list)
    received: list[str] = field(default_factory=list)

    def reach(self, where: str) -> None:
        self.called.append(where)
        if errors := self.fails.get(where):
            raise errors.pop(0)


class FragileNode(EdgecamNode[FragileSettings]):
    settings_type = FragileSettings

    def __init__(self, plan: FailurePlan, **node_arguments: Any) -> None:
        self.plan = plan
        super().__init__("fragile", **node_arguments)

    def open(self) -> None:
        self.subscription = self.create_subscription(String, "words", self._on_message, 10)
        self.service = self.create_service(Trigger, "~/ask", self._asked)
        self.ticking = self.create_timer(0.1, lambda: self.plan.reach("tick"))
        self.plan.reach("open")

    def start(self) -> None:
        self.plan.reach("start")
        self.start_thread("worker", self.plan.reach, "thread")

    def stop(self) -> None:
        self.plan.reach("stop")

    def close(self) -> None:
        self.plan.reach("close")
        self.destroy_timer(self.ticking)
        self.destroy_service(self.service)
        self.destroy_subscription(self.subscription)

    def apply(self, old: FragileSettings, new: FragileSettings) -> None:
        self.plan.reach(f"apply {new.rate:g}")

    def report(self) -> Status:
        self.plan.reach("report")
        return Status()

    def hardware_id(self) -> str:
        if "hardware id" in self.plan.fails:
            raise self.plan.fails["hardware id"][0]
        return "lamp"

    def _on_message(self, message: String) -> None:
        self.plan.received.append(message.data)
        self.plan.reach("received")

    def _asked(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self.plan.reach("asked")
        response.success = True
        return response


class SupervisionScene:
    def __init__(self, peer: Peer, node: FragileNode) -> None:
        self.peer, self.node, self.plan = peer, node, node.plan
        self._arrays = peer.collect(DiagnosticArray, "/diagnostics")

    def statuses(self) -> list[DiagnosticStatus]:
        return [status for array in self._arrays for status in array.status if status.name == "fragile"]

    def wait_for(self, level: bytes, text: str) -> DiagnosticStatus:
        """The next status with this level and text."""
        seen = len(self.statuses())

        def found() -> DiagnosticStatus | None:
            return next((one for one in self.statuses()[seen:] if one.level == level and text in one.message), None)

        return wait_until(found, what=f"{text!r} in /diagnostics")


@pytest.fixture(autouse=True)
def short_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_module, "_RETRY_SECONDS", 0.1)


@contextmanager
def scene(peer: Peer, **fails: list[Exception]) -> Iterator[SupervisionScene]:
    with running(FragileNode(FailurePlan({name.replace("_", " "): errors for name, errors in fails.items()}))) as node:
        yield SupervisionScene(peer, node)


def lines(capfd: pytest.CaptureFixture[str], text: str) -> list[str]:
    return [line for line in capfd.readouterr().err.splitlines() if text in line]


@pytest.mark.parametrize("error", [ValueError("netloc"), OSError(97, "family"), KeyError("x"), ZeroDivisionError()])
@pytest.mark.parametrize("hook", ["open", "start"])
def test_a_hook_that_raises_is_rolled_back_and_retried(
    peer: Peer, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, hook: str, error: Exception
) -> None:
    with scene(peer, **{hook: [error, error]}) as subject:  # running() waits until it is active
        called = subject.plan.called
        assert called.count(hook) == 3
        undo = {"open": "close", "start": "stop"}[hook]
        assert called.count(undo) == 2
        assert subject.node.failure is None
        monkeypatch.setattr(faults, "SHOWN_SECONDS", 0.0)  # the fault is over
        subject.wait_for(OK, "running")
    (line,) = lines(capfd, "unexpected")
    assert f"{hook}: unexpected {type(error).__name__}" in line
    assert "test_supervision.py:" in line


def test_the_reason_of_a_refused_transition_is_shown_while_it_lasts(peer: Peer) -> None:
    with spinning(FragileNode(FailurePlan({"open": [ValueError("the reason")] * 1000}))) as node:
        SupervisionScene(peer, node).wait_for(ERROR, "open: unexpected ValueError: the reason")
        wait_until(lambda: node.state_label() == "unconfigured", what="the end of an attempt")


def test_top_shows_the_exception_of_a_hook() -> None:
    command = [sys.executable, "-m", "edgecam_core.cli.main", "top", "--once"]
    with spinning(FragileNode(FailurePlan({"open": [ValueError("the reason")] * 1000}))):
        for _ in range(5):  # one call lasts four seconds, which discovery may need
            done = forked.run(
                command, capture_output=True, text=True, timeout=120, env={**os.environ, "COLUMNS": "200"}
            )
            if "fragile" in done.stdout:
                break
    line = next(line for line in done.stdout.splitlines() if line.startswith("fragile"))
    assert line.split()[1] == "error"
    assert "open: unexpected ValueError: the reason" in line


def test_a_failed_open_destroys_what_it_created(peer: Peer) -> None:
    """Even if ``close`` fails as well."""
    with scene(peer, open=[ValueError("half")], close=[ValueError("cannot")]) as subject:
        names = [one.topic_name for one in subject.node.subscriptions]
        assert names.count("/words") == 1
        assert [one.srv_name for one in subject.node.services].count("~/ask") == 1


def test_an_exception_while_stopping_is_reported_and_the_rest_is_stopped(
    peer: Peer, capfd: pytest.CaptureFixture[str]
) -> None:
    with scene(peer, stop=[OSError("stuck")], close=[ValueError("also stuck")]) as subject:
        pass
    assert subject.plan.called[-2:] == ["stop", "close"]
    assert len(lines(capfd, "stuck")) == 2


def test_one_bad_message_is_counted_and_the_next_is_processed(peer: Peer, capfd: pytest.CaptureFixture[str]) -> None:
    words = peer.node.create_publisher(String, "words", 10)
    with scene(peer, received=[ImageError("no pixels"), IndexError("far out"), IndexError("far out")]) as subject:

        def say(text: str, level: bytes, expected: str) -> DiagnosticStatus:
            wait_until(lambda: words.get_subscription_count(), what="the subscription")
            words.publish(String(data=text))
            return subject.wait_for(level, expected)

        say("one", WARN, "running; subscription words: no pixels")
        say("two", ERROR, "subscription words: unexpected IndexError: far out")
        assert {pair.key: pair.value for pair in say("three", ERROR, "far out").values}["faults"] == "3"
        words.publish(String(data="four"))
        wait_until(lambda: subject.plan.received == ["one", "two", "three", "four"], what="all four")
        assert subject.node.state_label() == "active"
    assert len(lines(capfd, "far out")) == 1


def test_a_service_that_raises_still_responds(peer: Peer) -> None:
    with scene(peer, asked=[RuntimeError("jammed")]):
        answer = peer.call(Trigger, "/fragile/ask", Trigger.Request())
        assert (answer.success, "unexpected RuntimeError: jammed" in answer.message) == (False, True)
        assert peer.call(Trigger, "/fragile/ask", Trigger.Request()).success


def test_a_timer_that_raises_keeps_ticking(peer: Peer) -> None:
    with scene(peer, tick=[ValueError("late")]) as subject:
        wait_until(lambda: subject.plan.called.count("tick") > 3, what="more ticks")
        assert subject.wait_for(ERROR, "unexpected ValueError: late")


def test_a_report_that_raises_is_reported(peer: Peer) -> None:
    with scene(peer, report=[ValueError("no figures")] * 2, hardware_id=[ValueError("no lamp")]) as subject:
        assert "fragile" in {status.hardware_id for status in [subject.wait_for(ERROR, "")]}


def test_a_thread_that_raises_restarts_the_node(
    peer: Peer, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with scene(peer, thread=[OSError("cable")]) as subject:
        subject.wait_for(ERROR, "unexpected OSError: cable")
        wait_until(lambda: subject.plan.called.count("thread") == 2, what="a second thread")
        assert [one for one in subject.plan.called if one in ("open", "start", "stop", "close")] == [
            "open", "start", "stop", "close", "open", "start",
        ]  # fmt: skip
        monkeypatch.setattr(faults, "SHOWN_SECONDS", 0.0)  # the fault is over
        subject.wait_for(OK, "running")
    assert len(lines(capfd, "thread worker: unexpected OSError: cable")) == 1


def set_rate(peer: Peer, value: float) -> tuple[bool, str]:
    given = ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=value)
    request = SetParameters.Request(parameters=[Parameter(name="rate", value=given)])
    (result,) = peer.call(SetParameters, "/fragile/set_parameters", request).results
    return result.successful, result.reason


def test_a_parameter_whose_use_raises_is_refused_and_rolled_back(peer: Peer) -> None:
    with scene(peer, apply_3=[ValueError("odd")]) as subject:
        accepted, reason = set_rate(peer, 3.0)
        assert not accepted
        assert reason == "unexpected ValueError: odd"
        assert subject.plan.called.count("apply 1") == 1
        assert subject.node.settings.rate == 1.0
        assert set_rate(peer, 4.0) == (True, "")


def test_an_invalid_request_gets_a_response(peer: Peer) -> None:
    with scene(peer):
        bad = Parameter(name="rate", value=ParameterValue(type=200))
        answer = peer.call(SetParameters, "/fragile/set_parameters", SetParameters.Request(parameters=[bad, bad]))
        assert [one.successful for one in answer.results] == [False, False]
        assert all(one.reason for one in answer.results)


def test_a_permanent_error_ends_the_node(peer: Peer) -> None:
    with scene(peer, thread=[SettingError("rate", 1.0, "cannot work")]) as subject:
        wait_until(subject.node.ended.is_set, what="the end")
        assert str(subject.node.failure) == "parameter 'rate' is 1.0: cannot work"


def test_an_executor_that_raises_continues(peer: Peer) -> None:
    """Exceptions that rclpy lets through while it handles a message, e.g. from a client's future."""
    with scene(peer) as subject:
        raised: Callable[..., Any] = subject.node.supervised(lambda _future: 1 / 0, "future")
        assert raised(None) is None
        subject.wait_for(ERROR, "future: unexpected ZeroDivisionError")
