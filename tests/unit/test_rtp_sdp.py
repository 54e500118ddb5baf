"""Session descriptions."""

from __future__ import annotations

from pathlib import Path

import pytest
from edgecam_core.errors import SettingError
from edgecam_core.rtp import clock, sdp
from edgecam_core.rtp.sdp import SessionDescription

FULL = SessionDescription(
    address="239.1.2.3",
    port=5004,
    payload_type=97,
    codec="h265",
    parameters={"sprop-vps": "QAEM", "sprop-sps": "QgEB", "sprop-pps": "RAHA"},
    extensions={clock.NTP_URI: 3},
    frame_id="far_optical_frame",
    feedback=True,
    bitrate=2_000_000,
)


def test_a_written_description_is_read_back() -> None:
    text = sdp.write(FULL, session=7, ttl=4)
    assert "c=IN IP4 239.1.2.3/4\r\n" in text
    assert "b=AS:2000\r\n" in text
    read = sdp.parse(text)
    assert read == SessionDescription(**{**vars(FULL), "bitrate": 0})
    assert sdp.stamp_id(read.extensions) == 3


def test_the_description_ffmpeg_writes_is_read() -> None:
    text = (
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=No Name\nc=IN IP4 127.0.0.1\nt=0 0\na=tool:libavformat\n"
        "m=audio 5002 RTP/AVP 97\na=rtpmap:97 opus/48000/2\n"
        "m=video 5600 RTP/AVP 96\nb=AS:2000\na=rtpmap:96 H265/90000\na=fmtp:96 sprop-vps=QAEMAf//; sprop-sps=QgEB\n"
    )
    read = sdp.parse(text)
    assert (read.address, read.port, read.payload_type, read.codec) == ("127.0.0.1", 5600, 96, "h265")
    assert read.parameters == {"sprop-vps": "QAEMAf//", "sprop-sps": "QgEB"}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("v=0\nm=audio 5002 RTP/AVP 97\n", "m=video"),
        ("m=video 5600 RTP/AVP 96\na=rtpmap:96 VP8/90000\n", "neither H265 nor H264"),
        ("", "m=video"),
    ],
)
def test_a_description_without_a_stream_for_us_is_refused(text: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=why):
        sdp.parse(text)
    file = tmp_path / "bad.sdp"
    file.write_text(text)
    with pytest.raises(SettingError, match=f"sdp_file.*{why}"):
        sdp.read_file(str(file))


def test_files_that_cannot_be_read_or_written(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"sdp_file.*cannot be read: No such file"):
        sdp.read_file(str(tmp_path / "missing.sdp"))
    with pytest.raises(SettingError, match=r"sdp_file.*cannot be written"):
        sdp.write_file(str(tmp_path / "no" / "folder.sdp"), FULL, 0, 1)


def test_the_file_is_never_written_through_a_link(tmp_path: Path) -> None:
    mine, path = tmp_path / "mine", tmp_path / "x.sdp"
    mine.write_text("precious")
    for name in ("x.sdp.part", "x.sdp"):
        (tmp_path / name).symlink_to(mine)
    sdp.write_file(str(path), sdp.SessionDescription("192.0.2.7", 5000, 96, "h265"), 1, 1)
    assert mine.read_text() == "precious"
    assert not path.is_symlink()
    assert sdp.read_file(str(path)).port == 5000
    assert sorted(each.name for each in tmp_path.iterdir()) == ["mine", "x.sdp", "x.sdp.part"]
