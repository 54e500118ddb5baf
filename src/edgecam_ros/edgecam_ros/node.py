"""The base of every edgecam node: a lifecycle node whose parameters come from a settings table."""

from __future__ import annotations

import threading
from typing import Any, Generic, TypeVar

from edgecam_core.errors import EdgecamError, MissingDependency, ModelError, SettingError
from edgecam_core.settings import Settings
from rcl_interfaces.msg import ParameterDescriptor, SetParametersResult
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter

from edgecam_ros import parameters
from edgecam_ros.diagnostics import ERROR, STALE, DiagnosticsPublisher, Status

S = TypeVar("S", bound=Settings)
_FINAL = (SettingError, MissingDependency, ModelError)
_RETRY_SECONDS = 2.0
_AUTOSTART_TEXT = "Configure and activate by itself; false leaves that to a lifecycle manager."


class EdgecamNode(LifecycleNode, Generic[S]):
    """Subclasses set ``settings_type`` and override ``open``, ``start``, ``stop``, ``close``, ``apply``, ``report``.

    All hooks run on the executor's thread. ``open`` and ``start`` raise EdgecamError to refuse the transition; the
    error is logged once, kept in ``problem`` and shown in /diagnostics. With ``autostart`` a refusal that no waiting
    can cure (SettingError, MissingDependency, ModelError) ends the node with exit code 1; any other is tried again.

    Raises:
        SettingError: a parameter value cannot work; nothing has been created then but the bare node.
        UnknownSetting: a parameter was given that nobody declared.
    """

    settings_type: type[S]
    open_prefixes: tuple[str, ...] = ()
    """Beginnings of parameter names that are declared later, e.g. a device's own controls."""
    neighbours: frozenset[str] = frozenset()
    """Settings of all nodes in this process, where there are several."""

    def __init__(self, default_name: str, **node_arguments: Any) -> None:
        super().__init__(default_name, enable_communication_interface=True, **node_arguments)
        self.problem: EdgecamError | None = None
        self.failure: EdgecamError | None = None
        self.ended = threading.Event()
        self.exit_code = 0
        told = ParameterDescriptor(description=_AUTOSTART_TEXT, read_only=True)
        self._autostart = bool(self.declare_parameter("autostart", True, told).value)
        self.settings: S = parameters.declare(self, self.settings_type)
        parameters.refuse_unknown(self, self.open_prefixes, self.neighbours)
        self.add_on_set_parameters_callback(self._on_parameters)
        self._autostarting = False
        self._diagnostics = DiagnosticsPublisher(self, self.hardware_id, self._status)
        self._starter = self.create_timer(0.0, self._autostart_step) if self._autostart else None

    # What subclasses override.

    def open(self) -> None:
        """Configure: check the world, build things, create publishers and services."""

    def start(self) -> None:
        """Activate: take the device, begin to deliver."""

    def stop(self) -> None:
        """Deactivate: free the device. Also called before ``close`` of an active node."""

    def close(self) -> None:
        """Clean up: undo ``open``. Called at shutdown too."""

    def apply(self, old: S, new: S) -> None:
        """Take over changed runtime settings, or raise SettingError to refuse them."""

    def report(self) -> Status:
        """How the node is, asked once a second while it is active."""
        return Status()

    def hardware_id(self) -> str:
        """What the diagnostics are about: a camera, an address, a processor."""
        return self.get_name()

    # What the owner calls.

    def fail(self, error: EdgecamError) -> None:
        """End the node with this error and exit code 1; from any thread."""
        self.failure = error
        self.finish(1)

    def finish(self, exit_code: int = 0) -> None:
        """End the node's process with this exit code; from any thread."""
        self.exit_code = exit_code
        self.ended.set()

    # Lifecycle: each transition calls one hook and turns its error into a refusal.

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._attempt(self.open, undo=self.close)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        outcome = self._attempt(self.start, undo=self.stop)
        return super().on_activate(state) if outcome == TransitionCallbackReturn.SUCCESS else outcome

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self.stop()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        self.close()
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        if state.label == "active":
            self.stop()
        if state.label in ("active", "inactive"):
            self.close()
        return TransitionCallbackReturn.SUCCESS

    def _attempt(self, hook: Any, undo: Any) -> TransitionCallbackReturn:
        try:
            hook()
        except EdgecamError as error:
            repeated = str(error) == str(self.problem)  # a retry that fails the same way is not news
            ends_the_node = self._autostarting and isinstance(error, _FINAL)  # main says it as its last word
            if not repeated and not ends_the_node:
                self.get_logger().error(str(error))
            self.problem = error
            undo()
            return TransitionCallbackReturn.FAILURE
        self.problem = None
        return TransitionCallbackReturn.SUCCESS

    def _autostart_step(self) -> None:
        """Bring the node to active; tried again later where waiting may help."""
        if self._starter is None:  # an event that was already queued when the timer was destroyed
            return
        self.destroy_timer(self._starter)
        self._starter = None
        self._autostarting = True
        if self.state_label() == "unconfigured":
            self.trigger_configure()
        if self.state_label() == "inactive" and self.problem is None:
            self.trigger_activate()
        self._autostarting = False
        if isinstance(self.problem, _FINAL):
            self.fail(self.problem)
        elif self.problem is not None:
            self._starter = self.create_timer(_RETRY_SECONDS, self._autostart_step)

    def state_label(self) -> str:
        """The lifecycle state's name: unconfigured, inactive, active, finalized."""
        return str(self._state_machine.current_state[1])

    # Parameters and diagnostics.

    def _on_parameters(self, changes: list[Parameter]) -> SetParametersResult:
        try:
            settings = parameters.changed(self.settings, changes)
            if settings != self.settings:
                self.apply(self.settings, settings)
        except EdgecamError as error:
            return parameters.refused(error)
        self.settings = settings
        return SetParametersResult(successful=True)

    def _status(self) -> Status:
        if self.problem is not None:
            return Status(ERROR, str(self.problem))
        label = self.state_label()
        return self.report() if label == "active" else Status(STALE, label)
