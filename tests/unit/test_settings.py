from __future__ import annotations

import pickle
from dataclasses import dataclass

import pytest
from edgecam_core.errors import EdgecamError, SettingError, UnknownSetting
from edgecam_core.settings import Settings, setting


@dataclass(frozen=True, kw_only=True)
class Lamp(Settings):
    """A group with one setting of each kind."""

    rate: float = setting(1.0, "How often.", low=0.5, high=10.0, unit="Hz", runtime=True)
    count: int = setting(3, "How many.", low=1)
    colour: str = setting("red", "Which.", choices=("red", "green"))
    on: bool = setting(True, "Whether.")
    names: tuple[str, ...] = setting((), "Whose.")
    gains: tuple[float, ...] = setting((1.0,), "How much.", low=0.0)
    key: str = setting("", "Secret.", secret=True)

    def check(self) -> None:
        if self.count > 5 and not self.on:
            raise SettingError("count", self.count, "needs on:=true above 5")


def test_defaults_and_types() -> None:
    lamp = Lamp.from_mapping({"rate": 2, "gains": [1, 2], "names": ["a"]})
    assert lamp.rate == 2.0
    assert isinstance(lamp.rate, float)
    assert lamp.gains == (1.0, 2.0)
    assert lamp.names == ("a",)
    assert lamp.as_dict() == {
        "rate": 2.0, "count": 3, "colour": "red", "on": True, "names": ("a",), "gains": (1.0, 2.0), "key": "",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("values", "parts"),
    [
        ({"rate": 0.1}, ["'rate'", "0.1", "0.5 to 10 Hz"]),
        ({"rate": float("nan")}, ["'rate'", "nan", "0.5 to 10 Hz"]),
        ({"rate": "fast"}, ["'rate'", "'fast'", "double"]),
        ({"rate": True}, ["'rate'", "double"]),
        ({"count": 0}, ["'count'", "0", "at least 1"]),
        ({"count": 2.5}, ["'count'", "integer"]),
        ({"count": True}, ["'count'", "integer"]),
        ({"colour": "blue"}, ["'colour'", "'blue'", "one of red, green"]),
        ({"on": 1}, ["'on'", "bool"]),
        ({"names": "cat"}, ["'names'", "'cat'", "list"]),
        ({"gains": [1, -1]}, ["'gains'", "-1", "at least 0"]),
        ({"count": 6, "on": False}, ["'count'", "6", "on:=true"]),
    ],
)
def test_a_bad_value_is_named_with_what_works(values: dict[str, object], parts: list[str]) -> None:
    with pytest.raises(SettingError) as caught:
        Lamp.from_mapping(values)
    assert isinstance(caught.value, EdgecamError)
    for part in parts:
        assert part in str(caught.value)


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownSetting, match=r"'colour_'.*did you mean colour"):
        Lamp.from_mapping({"colour_": "red"})


def test_a_secret_is_never_in_the_message() -> None:
    with pytest.raises(SettingError) as caught:
        Lamp.from_mapping({"key": 1234})
    assert "1234" not in str(caught.value)


def test_changed_makes_a_checked_copy() -> None:
    lamp = Lamp()
    assert lamp.changed(rate=5).rate == 5.0
    assert lamp.rate == 1.0
    with pytest.raises(SettingError):
        lamp.changed(rate=11)


def test_descriptions_for_docs() -> None:
    specs = Lamp.specs()
    assert list(specs) == ["rate", "count", "colour", "on", "names", "gains", "key"]
    assert specs["gains"].type_name == "double[]"
    assert specs["rate"].runtime
    assert not specs["count"].runtime
    assert specs["colour"].range_text() == "one of red, green"


def test_errors_survive_a_process_boundary() -> None:
    error = SettingError("rate", 0.1, "must be more")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
