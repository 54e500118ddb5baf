"""Hostile WebRTC answers: each is accepted or refused in time; the connection can be closed and its socket freed.

EDGECAM_FUZZ sets how many are tried (make fuzz: many).
"""

from __future__ import annotations

import os
import threading

import pytest
from edgecam_core.errors import EdgecamError, MissingDependency
from edgecam_viewer.peer import WebRtcPeer, require
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

try:
    require()
except MissingDependency as error:
    pytest.skip(str(error), allow_module_level=True)

EXAMPLES = int(os.environ.get("EDGECAM_FUZZ", "15"))
VALUES = st.sampled_from([
    *("", "0", "-1", "65536", "4294967296", "9" * 400, "a" * 5000, "nan", "*", "/", "%n%s", "\t", "102 127 0"),
    *("sha-256 AA:BB", "sha-1 00", "active", "passive", "holdconn", "BUNDLE 0 1 2", "IN IP6 ::", "IN IP4 999.1.1.1"),
    *("video", "audio", "application", "UDP/TLS/RTP/SAVPF", "RTP/AVP", "VP8/90000", "H264/0", "nack pli"),
    *("recvonly", "sendrecv", "inactive", "profile-level-id=zz;packetization-mode=9"),
])  # fmt: skip
HEADS = st.sampled_from([
    *("a=", "m=", "c=", "b=", "t=", "a=rtpmap:", "a=fmtp:102 ", "a=mid:", "a=extmap:1 ", "a=ssrc:1 ", "a=rid:"),
    *("a=simulcast:send ", "a=rtcp-fb:102 ", "a=group:", "a=sctp-port:", "a=ice-options:", "a=fingerprint:"),
])  # fmt: skip
WHERE = st.integers(0, 1000)
CHANGE = st.one_of(
    st.tuples(st.just("drop"), WHERE, WHERE, VALUES),
    st.tuples(st.just("repeat"), WHERE, WHERE, VALUES),
    st.tuples(st.just("word"), WHERE, WHERE, VALUES),
    st.tuples(st.just("value"), WHERE, WHERE, VALUES),
    st.tuples(st.just("character"), WHERE, WHERE, st.characters(min_codepoint=1, max_codepoint=127)),
    st.tuples(st.just("line"), WHERE, WHERE, st.builds(str.__add__, HEADS, VALUES)),
)


def changed(lines: list[str], change: tuple[str, int, int, str]) -> list[str]:
    """The lines with one change at a place."""
    kind, at, other, text = change
    at %= len(lines)
    line, before, after = lines[at], lines[:at], lines[at + 1 :]
    words = line.split(" ")
    if kind == "drop":
        return before + after or [text]
    if kind == "repeat":
        return [*before, line, lines[other % len(lines)], *after]
    if kind == "word":
        words[other % len(words)] = text
        return [*before, " ".join(words), *after]
    if kind == "value":
        return [*before, line.partition(":")[0] + ":" + text, *after]
    if kind == "character":
        other %= len(line) + 1
        return [*before, line[:other] + text + line[other:], *after]
    return [*before, line, text, *after]


@settings(
    max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
)
@given(changes=st.lists(CHANGE, min_size=1, max_size=8))
def test_no_answer_ends_the_viewer(changes: list[tuple[str, int, int, str]]) -> None:
    offers: list[str] = []
    offered = threading.Event()

    def take(sdp: str) -> None:
        offers.append(sdp)
        offered.set()

    peer = WebRtcPeer(7, "127.0.0.1", take, lambda: None)
    try:
        assert offered.wait(120)
        kept = [one for one in offers[0].splitlines() if not one.startswith(("a=candidate", "a=ssrc", "a=msid"))]
        lines = [one.replace("a=sendonly", "a=recvonly").replace("actpass", "active") for one in kept]
        for change in changes:
            lines = changed(lines, change)
        done = threading.Event()

        def answer() -> None:
            try:
                peer.answer("\r\n".join(lines) + "\r\n")
            except EdgecamError:
                pass
            done.set()

        threading.Thread(target=answer, daemon=True).start()
        assert done.wait(60), lines
        assert not peer.connected
    finally:
        peer.close()
