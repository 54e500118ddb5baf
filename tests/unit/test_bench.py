"""`make bench`: finished rows are saved, a stopped run resumes, publishing needs an idle machine, all pages agree."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import __main__ as bench
from benchmarks import compare, machine, marks, plan, publish
from benchmarks.measure import measure
from benchmarks.plot import draw
from benchmarks.result import RowResult
from benchmarks.row import Row
from benchmarks.runs import shared
from benchmarks.store import PUBLISHED, Store


def row(name: str, ours: float = 10.0, reference: float = 20.0, better: str = "lower") -> Row:
    return Row(
        name, f"what {name} is", "ms", "the other way", lambda: ours, lambda: reference, better, label=name.title()
    )


def result(name: str, values: list[float], where: str = "here", better: str = "lower", busy: float = 0.0) -> RowResult:
    middle = sorted(values)[len(values) // 2]
    pairs = [(value, 10.0) for value in values]
    return RowResult(
        name, name, name, "ms", better, "other", middle, 10.0, middle / 10, None, where, "2026-01-01", busy, 1.0, pairs
    )  # fmt: skip


def failing() -> float:
    raise RuntimeError("the camera is gone")


def test_every_finished_row_is_on_disk_and_a_failure_loses_only_its_own_row(tmp_path: Path) -> None:
    run, published = Store(tmp_path / "run.json"), Store(tmp_path / "published.json")
    broken = Row("b_row", "b", "ms", "other", failing, lambda: 1.0)
    rows = [row("a_row"), broken, row("c_row")]
    assert bench.measure_all(rows, 1, run, published, keep=True, whole=True) == ["b_row"]
    again = Store.open(tmp_path / "run.json")
    assert set(again.rows) == {"a_row", "c_row"}
    assert again.pending == ["b_row"]
    assert [one.name for one in plan.chosen(rows, False, again, fresh=False)] == ["b_row"]
    assert [one.name for one in plan.chosen(rows, False, again, fresh=True)] == ["a_row", "b_row", "c_row"]


def test_a_stopped_run_keeps_its_results_and_resumes(tmp_path: Path) -> None:
    def stop() -> float:
        raise KeyboardInterrupt

    run, published = Store(tmp_path / "run.json"), Store(tmp_path / "published.json")
    rows = [row("a_row"), Row("b_row", "b", "ms", "other", stop, lambda: 1.0), row("c_row")]
    with pytest.raises(KeyboardInterrupt):
        bench.measure_all(rows, 2, run, published, keep=True, whole=True)
    again = Store.open(tmp_path / "run.json")
    assert set(again.rows) == {"a_row"}
    assert (again.pending, again.rounds) == (["b_row", "c_row"], 2)


def test_a_run_of_some_rows_keeps_the_others_with_their_machine_and_date(tmp_path: Path) -> None:
    run = Store(tmp_path / "run.json")
    run.add(result("old_row", [1.0], where="another machine"), {"system": "x"})
    bench.measure_all([row("new_row")], 1, run, Store(tmp_path / "none.json"), keep=True, whole=False)
    again = Store.open(tmp_path / "run.json")
    assert again.rows["old_row"].machine == "another machine"
    assert again.rows["new_row"].machine == machine.name()
    assert set(again.machines) == {"another machine", machine.name()}


def test_medians_and_ratios_of_interleaved_rounds() -> None:
    values = iter([10.0, 30.0, 20.0])
    one = Row("a_row", "a", "ms", "other", lambda: next(values), lambda: 10.0)
    output: list[str] = []
    found = measure(one, 3, output.append)
    assert (found.ours, found.reference, found.ratio) == (20.0, 10.0, 2.0)
    assert found.noise() == pytest.approx(0.5)
    assert len(output) == 3
    assert found.busy is not None
    assert 0 <= found.busy <= 1


def test_a_reference_of_zero_and_an_unrecovered_fault_have_no_ratio() -> None:
    assert measure(row("a_row", 1.0, 0.0), 1, lambda _: None).ratio is None
    lost = measure(row("a_row", float("nan"), 1.0), 1, lambda _: None)
    assert (lost.ours, lost.ratio, lost.rounds) == (None, None, [(None, 1.0)])


@pytest.mark.parametrize(
    ("before", "after", "better", "output"),
    [
        ([10, 10, 10], [12, 12, 12], "lower", "worse: a: 10 → 12 ms (+20 %"),
        ([10, 10, 10], [12, 12, 12], "higher", "better: a: 10 → 12 ms"),
        ([8, 10, 12], [11, 12, 13], "lower", "1 of 1 rows within their noise"),
        ([10, 10, 10], [10.1, 10.1, 10.1], "lower", "1 of 1 rows within their noise"),
    ],
)
def test_a_change_counts_if_it_is_larger_than_the_noise(
    before: list[float], after: list[float], better: str, output: str
) -> None:
    reported = list(compare.lines({"a": result("a", after, better=better)}, {"a": result("a", before, better=better)}))
    assert reported[0].startswith(output)


def test_on_another_machine_the_ratios_are_compared() -> None:
    reported = list(compare.lines({"a": result("a", [30.0], "there")}, {"a": result("a", [10.0], "here")}))
    assert reported[0].startswith("worse: a: 1 → 3 times its reference (another machine)")


def test_publishing_is_refused_from_a_busy_machine_and_names_the_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, published = Store(tmp_path / "run.json"), Store(tmp_path / "published.json")
    run.rows = {"quiet_row": result("quiet_row", [1.0]), "loud_row": result("loud_row", [1.0], busy=0.4)}
    assert publish.publish(run, published) == 1
    output = capsys.readouterr().err
    assert "loud_row" in output
    assert "quiet_row" not in output
    assert not published.path.exists()


def test_an_unfinished_run_is_not_published(tmp_path: Path) -> None:
    run = Store(tmp_path / "run.json", rows={"a": result("a", [1.0])}, pending=["b"])
    assert "1 rows are not measured yet" in publish.refusal(run)
    assert "nothing is measured" in publish.refusal(Store(tmp_path / "none.json"))


def test_quick_selects_the_rows_that_fit_into_its_time() -> None:
    rows = [row(name) for name in plan.QUICK]
    slow = {plan.QUICK[0]: result(plan.QUICK[0], [1.0])}
    slow[plan.QUICK[0]].seconds = 1000.0
    taken = [one.name for one in plan.quick(rows, slow)]
    assert plan.QUICK[0] not in taken
    assert sum(plan.expected(name, 1, slow) for name in taken) <= plan.QUICK_SECONDS
    assert taken


def test_quick_takes_rows_that_were_asked_for_and_are_not_quick() -> None:
    assert [one.name for one in plan.quick([row("detector_four_cameras")])] == ["detector_four_cameras"]


def test_the_list_shows_the_expected_time_of_each_row_and_of_all() -> None:
    known = Store(Path("none"), rows={"a": result("a", [1.0, 1.0]), "b": result("b", [1.0])})
    known.rows["a"].seconds, known.rows["b"].seconds = 80.0, 30.0
    first, second, total = bench.listing([row("a"), row("b")], 2, Store(Path("none")), known)
    assert first.startswith("a ")
    assert "80 s" in first
    assert "60 s" in second
    assert total.split() == ["2", "rows", "2", "min"]


def test_marks_in_a_page_are_filled_and_filling_again_changes_nothing() -> None:
    store = Store(
        Path("none"), machines={"here": {"system": "Linux", "ros": "kilted"}}, rows={"a_b": result("a_b", [54.2])}
    )
    page = "It takes <!--= a_b.ours -->521 ms<!--/-->.\n<!-- results: rows a_* -->\nold\n<!-- /results -->\n"
    once = marks.filled(page, store)
    assert "<!--= a_b.ours -->54.2 ms<!--/-->" in once
    assert "old" not in once
    assert marks.filled(once, store) == once
    store.tables["sizes"] = {"rows": [["wheels", "216 MB"], ["training", "6 GB"]]}
    assert marks.filled("<!--= sizes.training -->?<!--/-->", store) == "<!--= sizes.training -->6 GB<!--/-->"
    with pytest.raises(KeyError, match="no_such_row"):
        marks.filled("<!-- results: rows no_such_row -->\n<!-- /results -->", store)


def test_the_published_results_have_labels_machines_and_dates_and_can_be_drawn(tmp_path: Path) -> None:
    store = Store.open(PUBLISHED)
    assert all(one.label and one.date and one.machine in store.machines for one in store.rows.values())
    pytest.importorskip("matplotlib")
    draw(list(store.rows.values()), tmp_path / "plot.svg")
    assert (tmp_path / "plot.svg").stat().st_size > 10_000
    assert json.loads(PUBLISHED.read_text())["rows"]


def test_rows_of_one_round_share_a_run_and_each_round_runs_again() -> None:
    calls: list[str] = []

    @shared
    def run(kind: str, size: int = 1) -> dict[str, float]:
        calls.append(kind)
        return {"latency": 10.0 * len(calls), "share": 1.0 * len(calls)}

    first = Row("a_row", "a", "ms", "other", lambda: run("ours")["latency"], lambda: run("bare")["latency"])
    second = Row("b_row", "b", "%", "other", lambda: run("ours", 1)["share"], lambda: run("bare", size=1)["share"])
    found = [measure(row, 2, lambda _: None) for row in (first, second)]
    assert calls == ["ours", "bare", "bare", "ours"]
    assert [each.rounds for each in found] == [[(10.0, 20.0), (40.0, 30.0)], [(1.0, 2.0), (4.0, 3.0)]]


def test_a_row_may_limit_its_rounds() -> None:
    long = Row("a_row", "a", "ms", "other", lambda: 1.0, lambda: 2.0, most_rounds=1)
    assert measure(long, 3, lambda _: None).rounds == [(1.0, 2.0)]
