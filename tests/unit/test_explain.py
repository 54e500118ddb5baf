"""edgecam explain: every part of a pipeline is described, installed or not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from edgecam_core.cli.main import main
from edgecam_core.explain import jetson
from edgecam_core.explain.describe import MISSING, describe
from edgecam_core.explain.pipeline_graph import Link, PipelineGraph, from_text, has_effects, possible
from edgecam_core.explain.tokens import tokens

PASTED = (
    "gst-launch-1.0 v4l2src device=/dev/video0 ! video/x-raw, framerate=30/1 ! videoconvert "
    "! agingtv scratch-lines=10 ! videoconvert ! xvimagesink sync=false"
)
JETSON = (
    "v4l2src device=/dev/video0 ! video/x-raw,framerate=30/1,width=640,height=480 ! nvvidconv "
    "! omxh265enc insert-vui=1 ! h265parse ! rtph265pay config-interval=1 "
    "! udpsink host=192.168.1.143 port=5000 sync=false -e"
)


def test_a_pasted_pipeline_is_cut_into_its_tokens() -> None:
    kinds = [(token.kind, token.text) for token in tokens(PASTED) if token.kind != "link"]
    assert kinds == [
        ("element", "v4l2src"), ("property", "device=/dev/video0"), ("caps", "video/x-raw, framerate=30/1"),
        ("element", "videoconvert"), ("element", "agingtv"), ("property", "scratch-lines=10"),
        ("element", "videoconvert"), ("element", "xvimagesink"), ("property", "sync=false"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ('filesrc location="/a b ! c"', ["element", "property"]),
        ("tee name=t t. ! queue", ["element", "property", "reference", "link", "element"]),
        ("d.video_0 ! fakesink", ["reference", "link", "element"]),
        ('a ! "video/x-raw(memory:NVMM), format=(string)NV12" ! b', ["element", "link", "caps", "link", "element"]),
        ("a ! video/x-raw,format={ I420, NV12 },width=[ 1, 9 ] ! b", ["element", "link", "caps", "link", "element"]),
        ("( a ! b )", ["group", "element", "link", "element", "group"]),
        ("capsfilter caps=video/x-raw,width=5", ["element", "property"]),
    ],
)
def test_quotes_branches_and_lists(text: str, kinds: list[str]) -> None:
    assert [token.kind for token in tokens(text)] == kinds


def test_each_part_is_described() -> None:
    rows = {row.text: (row.kind, row.detail) for row in describe(PASTED).rows}
    assert rows["v4l2src"][0] == "element"
    assert rows["v4l2src"][1].startswith("source (Source/Video)")
    assert rows["agingtv"][1].startswith("effect filter")
    assert rows["videoconvert"][1].startswith("converter")
    assert rows["scratch-lines=10"] == ("property", "unsigned int; 0 to 20; default 7; Number of scratch lines")
    assert rows["video/x-raw"][0] == "capability"
    assert rows["  framerate=30/1"] == ("capability", "field of type fraction")


def test_elements_of_other_platforms_name_their_platform() -> None:
    explanation = describe(JETSON)
    assert explanation.missing == ["nvvidconv", "omxh265enc"]
    rows = {row.text: row.detail for row in explanation.rows}
    assert f"{MISSING}: is part of JetPack" in rows["nvvidconv"]
    assert "alternative on this machine: videoconvert ! videoscale" in rows["nvvidconv"]
    assert "JetPack 4" in rows["omxh265enc"]
    assert rows["insert-vui=1"].startswith("boolean; default false; write video usability information")
    assert rows["rtph265pay"].startswith("payloader")


@pytest.mark.parametrize(
    ("text", "reported"),
    [
        ("videotestsrc patern=ball ! fakesink", "videotestsrc has no property 'patern'"),
        ("x264enc speed-preset=warp", "speed-preset=warp: must be one of .*ultrafast"),
        ("pattern=ball videotestsrc", "precedes any element"),
        ("videotestsrc ! x264enc tune=zerolatncy ! fakesink", "tune=zerolatncy: must be one or more of stillimage"),
        ("videotestsrc ! agingtv scratch-lines=1000", "scratch-lines=1000: must be 0 to 20"),
        ("videotestsrc ! agingtv scratch-line=3", "no property 'scratch-line'; did you mean scratch-lines?"),
        ("videotestsrc num-buffers=many", "num-buffers=many: must be a whole number"),
        ("videotestsrc is-live=perhaps", "is-live=perhaps: must be true or false"),
        ("nvarguscamerasrc sensor-id=900", "sensor-id=900: must be 0 to 255"),
        ("nvarguscamerasrc wbmode=green", "wbmode=green: must be one of off, auto"),
        ("nvv4l2h265enc maxperf-enabl=1", "did you mean maxperf-enable?"),
    ],
)
def test_mistakes_are_reported(text: str, reported: str) -> None:
    assert any(re.search(reported, wrong) for wrong in describe(text).wrong)


def test_links_come_with_the_negotiated_caps() -> None:
    graph = PipelineGraph(
        "videotestsrc ! video/x-raw,format=I420,width=64,height=48 ! tee name=t ! queue ! fakesink", True
    )
    try:
        links = {
            (re.sub(r"\d+$", "", link.source), re.sub(r"\d+$", "", link.sink)): link.caps for link in graph.links()
        }
        assert "width=(int)64" in links[("t", "queue")]
        assert "digraph pipeline" in graph.dot()
    finally:
        graph.close()
    assert from_text("nvarguscamerasrc ! nvvidconv ! t.") == [
        Link("nvarguscamerasrc", "nvvidconv"), Link("nvvidconv", "t."),
    ]  # fmt: skip


def test_explaining_writes_no_output_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    victim = tmp_path / "keep.mp4"
    victim.write_text("precious")
    assert has_effects(f"videotestsrc ! filesink location={victim}") == "filesink"
    assert main(["explain", f"videotestsrc ! filesink location={victim}"]) == 0
    assert victim.read_text() == "precious"
    assert "not tried, because filesink would write or send data" in capsys.readouterr().out


def test_the_command_prints_the_table_and_writes_the_graph(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dot = tmp_path / "graph.dot"
    assert main(["explain", "videotestsrc ! video/x-raw,width=64,height=48 ! fakesink", "--dot", str(dot)]) == 0
    out = capsys.readouterr().out
    assert re.search(r"videotestsrc +element +source", out)
    assert re.search(r"--> .*width=64", out)
    assert "digraph" in dot.read_text()
    assert main(["explain", PASTED.replace("xvimagesink", "nosuchsink"), "--dot", str(dot)]) == 1
    assert '"videoconvert" -> "nosuchsink"' in dot.read_text()


def test_an_unknown_command_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explan"]) == 2
    assert "explain" in capsys.readouterr().err


def test_the_error_for_a_misspelt_element_suggests_the_right_name() -> None:
    rows = {row.text: row.detail for row in describe("videotestsrc ! vidoconvert ! nvvidcon ! nvv4l2decoder").rows}
    assert "did you mean videoconvert" in rows["vidoconvert"]
    assert "nvvidconv" in rows["nvvidcon"]
    assert "did you mean" not in rows["nvv4l2decoder"]


def test_without_opening_the_pipeline_the_pad_templates_give_the_caps(capsys: pytest.CaptureFixture[str]) -> None:
    text = "videotestsrc ! video/x-raw,width=64 ! videoconvert ! nvvidconv ! x264enc ! filesink location=/dev/null"
    links = {(link.source, link.sink): link.caps for link in possible(text)}
    assert "width=(int)64" in links["videotestsrc", "videoconvert"]
    assert links["videoconvert", "nvvidconv"].startswith("video/x-raw")
    assert "video/x-h264" in links["x264enc", "filesink"]
    assert main(["explain", text]) == 1
    assert "the caps that the pad templates allow" in capsys.readouterr().out
    assert main(["explain", "--no-caps", "audiotestsrc ! x264enc ! fakesink"]) == 1
    assert "audiotestsrc --> x264enc: their pad templates" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["/nonexistent/x.dot", "/nonexistent/x.png", "x.nosuchformat"])
def test_a_graph_that_cannot_be_written_is_an_error_and_no_traceback(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", "--no-caps", "videotestsrc ! fakesink", "--dot", str(tmp_path / name)]) != 0
    assert "error: " in capsys.readouterr().err


def test_the_table_of_foreign_elements_is_complete() -> None:
    table = jetson.table()
    assert {"nvarguscamerasrc", "nvvidconv", "nvegltransform", "nveglglessink", "nvv4l2decoder", "nvv4l2h265enc",
            "omxh265enc", "nvjpegenc", "nvstreammux"} <= set(table)  # fmt: skip
    for name, element in table.items():
        assert all((element.kind, element.meaning, element.instead)), name
        for key, spec in element.properties.items():
            assert spec.meaning, f"{name} {key}"
            assert spec.kind != "enum" or "," in spec.allowed, f"{name} {key}"
            assert not spec.default or not spec.refuses(spec.default), f"{name} {key}={spec.default}"


def test_flags_are_named_and_may_be_combined() -> None:
    found = describe("videotestsrc ! x264enc tune=zerolatency+fastdecode ! fakesink")
    row = next(row for row in found.rows if row.text.startswith("tune="))
    assert row.detail.startswith("flags; stillimage + fastdecode + zerolatency; default none; ")
    assert not found.wrong


@pytest.mark.parametrize("element", ["nvcompositor", "nvdrmvideosink", "nvjpegenc", "nvjpegdec"])
def test_elements_of_the_jetson_table_are_reported_as_part_of_jetpack(element: str) -> None:
    found = describe(f"videotestsrc ! {element}")
    assert any("JetPack" in row.detail for row in found.rows if row.text == element)
