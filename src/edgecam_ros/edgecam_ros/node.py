# Copyright 2026 edgecam maintainers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""Base class of all edgecam nodes: a lifecycle node with parameters from a settings table."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from edgecam_core.errors import EdgecamError, MissingDependency, ModelError, SettingError
from edgecam_core.settings import Settings
from rcl_interfaces.msg import ParameterDescriptor, SetParametersResult
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter

from edgecam_ros import parameters
from edgecam_ros.diagnostics import ERROR, STALE, WARN, DiagnosticsPublisher, Status
from edgecam_ros.ending import bound_calls
from edgecam_ros.local_topics import LocalTopics
from edgecam_ros.supervision import SupervisedNode
from edgecam_ros.trace_topic import TracePublisher

S = TypeVar("S", bound=Settings)
_FINAL = (SettingError, MissingDependency, ModelError)
_RETRY_SECONDS = 2.0
_AUTOSTART_TEXT = "Configure and activate the node automatically; false: leave this to a lifecycle manager."


@bound_calls
class EdgecamNode(SupervisedNode, LifecycleNode, Generic[S]):  # type: ignore[misc]  # rclpy types each argument
    """Subclasses set ``settings_type`` and override ``open``, ``start``, ``stop``, ``close``, ``apply``, ``report``.

    All hooks run on the executor's thread. ``open`` and ``start`` raise EdgecamError to refuse the transition. An
    exception in a hook is logged once with its location, kept in ``problem`` and shown as ERROR in /diagnostics, and
    the resources opened are closed. With ``autostart``, a permanent error (SettingError, MissingDependency, ModelError)
    ends the node with exit code 1; after any other exception, the transition is retried.

    For exceptions of callbacks, see :class:`~edgecam_ros.supervision.SupervisedNode`. Start threads with
    ``start_thread``, or pass their exceptions to ``recover``.

    Raises:
        SettingError: a parameter has an invalid value; only the bare node has been created.
        UnknownSetting: a given parameter is not declared.
    """

    settings_type: type[S]
    open_prefixes: tuple[str, ...] = ()
    """Prefixes of parameters that are declared later, e.g. the controls of a device."""
    neighbours: frozenset[str] = frozenset()
    """Settings of all nodes in this process, if there are several."""

    def __init__(self, default_name: str, **node_arguments: Any) -> None:
        self._announced: list[
            tuple[LocalTopics[Any], str]
        ] = []  # before super(): a node with invalid parameters is destroyed, too
        super().__init__(default_name, enable_communication_interface=True, **node_arguments)
        self.problem: EdgecamError | None = None
        self._broken: EdgecamError | None = None
        self.failure: EdgecamError | None = None
        self.ended = threading.Event()
        self.exit_code = 0
        descriptor = ParameterDescriptor(description=_AUTOSTART_TEXT, read_only=True)
        self._autostart = bool(self.declare_parameter("autostart", True, descriptor).value)
        self.settings: S = parameters.declare(self, self.settings_type)
        parameters.refuse_unknown(self, self.open_prefixes, self.neighbours)
        self.add_on_set_parameters_callback(self._on_parameters)
        self._autostarting = False
        self._starter: Any = None
        self._diagnostics = DiagnosticsPublisher(self, self._hardware_id, self._status)
        self._trace = TracePublisher(self)
        self.create_timer(1.0, self._each_second)
        if self._autostart:
            self._starter = self.create_timer(0.0, self._autostart_step)

    # Hooks for subclasses.

    def open(self) -> None:
        """Configure: check settings and dependencies, create publishers and services."""

    def start(self) -> None:
        """Activate: open the device, start publishing."""

    def stop(self) -> None:
        """Deactivate: release the device. Also called before ``close`` if the node is active."""

    def close(self) -> None:
        """Clean up: undo ``open``. Also called at shutdown."""

    def apply(self, old: S, new: S) -> None:
        """Apply changed runtime settings; raises SettingError to reject them."""

    def report(self) -> Status:
        """The status of the node; called once a second while it is active."""
        return Status()

    def hardware_id(self) -> str:
        """The hardware id in the diagnostics: a camera, an address, a processor."""
        return self.get_name()

    # For subclasses.

    def announce(self, topic: str, *local: LocalTopics[Any]) -> str:
        """Announce a topic to nodes of this process until the node is destroyed; returns its full name.

        Call at the end of ``__init__``, so that nodes that start later do not subscribe over DDS.
        """
        name = str(self.resolve_topic_name(topic))
        for one in local:
            one.announce(name)
            self._announced.append((one, name))
        return name

    def destroy_node(self) -> None:
        while self._announced:
            local, name = self._announced.pop()
            local.withdraw(name)
        super().destroy_node()

    # For the owner.

    def fail(self, error: EdgecamError) -> None:
        """End the node with this error and exit code 1. Thread-safe."""
        self.failure = error
        self.finish(1)

    def finish(self, exit_code: int = 0) -> None:
        """End the process of the node with this exit code. Thread-safe."""
        self.exit_code = exit_code
        self.ended.set()

    def recover(self, error: Exception) -> None:
        """Return the node to ``unconfigured`` and, with ``autostart``, restart it. Thread-safe; does not block.

        Call if a thread or device has failed. The exception is logged and shown as ERROR, and the executor's thread
        calls ``stop`` and ``close`` within a second. A permanent error ends the node instead.
        """
        self.problem = self._broken = self.faults.add(f"thread {threading.current_thread().name}", error)

    def start_thread(self, name: str, work: Callable[..., object], *arguments: object) -> threading.Thread:
        """Start a daemon thread; its exception is passed to ``recover``."""

        def supervised() -> None:
            try:
                work(*arguments)
            except Exception as error:
                self.recover(error)

        thread = threading.Thread(target=supervised, name=name, daemon=True)
        thread.start()
        return thread

    # Lifecycle: each transition calls one hook. Exceptions are caught here, because rclpy would discard them.

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._attempt("open", self.open, undo=self.close)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        outcome = self._attempt("start", self.start, undo=self.stop)
        return super().on_activate(state) if outcome == TransitionCallbackReturn.SUCCESS else outcome

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self.supervised(self.stop, "stop")()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        self.supervised(self.close, "close")()
        self.problem = None
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        if state.label == "active":
            self.supervised(self.stop, "stop")()
        if state.label in ("active", "inactive"):
            self.supervised(self.close, "close")()
        return TransitionCallbackReturn.SUCCESS

    def _attempt(self, where: str, hook: Callable[[], None], undo: Callable[[], None]) -> TransitionCallbackReturn:
        before = self.entities()
        try:
            hook()
        except Exception as error:
            known = error if isinstance(error, EdgecamError) else EdgecamError(f"{where}: {EdgecamError.of(error)}")
            same = str(known) == str(self.problem)
            self.problem = known
            if not (self._autostarting and isinstance(known, _FINAL)):  # main prints a final error as the last line
                if not (self._autostarting and same):  # not a retry with the same error
                    self.faults.forget()
                self.faults.add("" if known is error else where, error)
            self.supervised(undo, f"undoing {where}")()
            self.supervised(self.destroy_since, f"undoing {where}")(before)
            return TransitionCallbackReturn.FAILURE
        self.problem = None
        return TransitionCallbackReturn.SUCCESS

    def _autostart_step(self) -> None:
        """Activate the node; retry later if the error may be temporary."""
        if self._starter is None:  # the event was already queued when the timer was destroyed
            return
        self.destroy_timer(self._starter)
        self._starter = None
        self._autostarting = True
        try:
            configured = self.state_label() == "inactive"
            if self.state_label() == "unconfigured":
                configured = self.trigger_configure() == TransitionCallbackReturn.SUCCESS
            if configured:
                self.trigger_activate()
        finally:
            self._autostarting = False
        if self.problem is not None:
            self._retry(self.problem)

    def _retry(self, problem: EdgecamError) -> None:
        if isinstance(problem, _FINAL):
            self.fail(problem)
        elif self._starter is None:
            self._starter = self.create_timer(_RETRY_SECONDS, self._autostart_step)

    def _each_second(self) -> None:
        broken, self._broken = self._broken, None
        if broken is not None and (label := self.state_label()) in ("active", "inactive"):
            if label == "active":
                self.trigger_deactivate()
            self.trigger_cleanup()
            self.problem = broken
            if self._autostart and label == "active":  # an inactive node stays inactive
                self._retry(broken)
        self._diagnostics.publish()
        self._trace.publish()

    def state_label(self) -> str:
        """The name of the lifecycle state: unconfigured, inactive, active, finalized."""
        return str(self._state_machine.current_state[1])

    # Parameters and diagnostics.

    def set_parameters_atomically(self, parameter_list: list[Parameter]) -> SetParametersResult:
        """As in rclpy, but a rejection states reason and remedy, and integers are accepted for doubles."""
        try:
            known = self.get_parameters_by_prefix("")
            parameter_list = parameters.prepared(self.settings, parameter_list, known)
        except EdgecamError as error:
            return parameters.refused(error)
        return super().set_parameters_atomically(parameter_list)

    def set_parameters(self, parameter_list: list[Parameter]) -> list[SetParametersResult]:
        return [self.set_parameters_atomically([one]) for one in parameter_list]

    def _on_parameters(self, changes: list[Parameter]) -> SetParametersResult:
        settings = self.settings
        try:
            settings = parameters.changed(self.settings, changes)
            if settings != self.settings:
                self.apply(self.settings, settings)
        except EdgecamError as error:
            return parameters.refused(error)
        except Exception:
            self.supervised(self.apply, "undoing a parameter")(settings, self.settings)
            raise
        self.settings = settings
        return SetParametersResult(successful=True)

    def _status(self) -> Status:
        """The status to publish: the report, with its level raised by recent faults."""
        try:
            status = self._own_status()
        except Exception as error:
            self.faults.add("report", error)
            status = Status()
        values = {**status.values, **self.faults.values()}
        if self.problem is not None or (fault := self.faults.recent()) is None:
            return Status(status.level, status.message, values)
        level = max(status.level if status.level != STALE else WARN, WARN if fault.refusal else ERROR)
        return Status(level, f"{status.message}; {fault}", values)

    def _own_status(self) -> Status:
        if self.problem is not None:
            return Status(ERROR, str(self.problem))
        label = self.state_label()
        return self.report() if label == "active" else Status(STALE, label)

    def _hardware_id(self) -> str:
        try:
            return self.hardware_id()
        except Exception as error:
            self.faults.add("hardware_id", error)
            return str(self.get_name())
