"""Sources as pipeline text: selected by scheme, correct on every platform, with clear refusals."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest
from edgecam_core.camera import platform, sources
from edgecam_core.camera.capture import Camera
from edgecam_core.camera.plan import compose, jpeg_passthrough
from edgecam_core.camera.preparing import prepare
from edgecam_core.camera.settings import CameraSettings
from edgecam_core.errors import MissingDependency, SettingError
from edgecam_core.media import gst
from waiting import wait_until


def everything(_element: str) -> bool:
    return True


def desktop(element: str) -> bool:
    """No special hardware, only the elements of Debian's packages."""
    return not element.startswith(("nv", "va", "v4l2h", "libcamera", "cuda"))


def text_of(have=desktop, **values) -> str:
    """The launch text without the elements for deinterlacing and rotation, which have a separate test."""
    settings = CameraSettings(**{"deinterlace": "never", "orientation": "ignore"} | values)
    return compose(sources.plan(settings, have), settings, have)


def test_every_source_has_a_valid_example() -> None:
    for module in set(sources.table().values()):
        settings = CameraSettings(source=module.EXAMPLE)
        text = compose(sources.plan(settings, everything), settings, everything)
        assert "appsink name=sink" in text, module.EXAMPLE


def test_an_unknown_scheme_is_reported_with_the_known_ones() -> None:
    with pytest.raises(SettingError, match=r"'source' is 'v4l://x'.*did you mean v4l2://.*file:///"):
        sources.find(CameraSettings(source="v4l://x"))
    with pytest.raises(SettingError, match="has no scheme"):
        sources.find(CameraSettings(source="clip.mp4"))


def test_a_password_is_never_shown() -> None:
    settings = CameraSettings(source="rtsp://me:secret@cam/live")
    assert sources.shown(settings) == "rtsp://me:***@cam/live"


def test_the_test_source_has_the_requested_size_and_rate() -> None:
    text = text_of(source="test://ball", image_width=320, image_height=200, framerate=12.5)
    assert "pattern=ball" in text
    assert "width=320,height=200,framerate=25/2" in text
    assert "videoscale" not in text
    with pytest.raises(SettingError, match="unknown test pattern"):
        text_of(source="test://bawl")


@pytest.mark.parametrize("name", ["/dev/video2", "v4l2:///dev/video2", "v4l2://2", "v4l2://video2"])
def test_a_v4l2_device_may_be_written_in_every_usual_way(name: str) -> None:
    assert 'v4l2src device="/dev/video2"' in text_of(source=name)


def test_v4l2_requests_size_rate_and_format_from_the_device() -> None:
    text = text_of(source="v4l2:///dev/video0", image_width=640, image_height=480, framerate=15, pixel_format="yuyv")
    assert "video/x-raw,format=YUY2,width=640,height=480,framerate=15/1" in text
    assert "videoscale" not in text


def test_v4l2_uses_jpeg_if_raw_video_exceeds_the_bus() -> None:
    settings = CameraSettings(source="v4l2:///dev/video0", image_width=1920, image_height=1080)
    plan = sources.plan(settings, desktop)
    assert plan.codec == "jpeg"
    assert jpeg_passthrough(plan, settings)
    assert "jpegdec" not in compose(plan, settings, desktop)  # decoded only for subscribers of image_raw
    turned = settings.changed(flip_method="rotate-180")
    assert "jpegdec ! videoflip video-direction=180" in compose(plan, turned, desktop)


def test_a_file_is_scaled_after_decoding_and_paced_by_its_clock(tmp_path: Path) -> None:
    text = text_of(source=f"file://{tmp_path}/a b!.mp4", image_width=320, image_height=240)
    assert f'uri="file://{tmp_path}/a%20b%21.mp4"' in text
    assert "videoscale ! video/x-raw,width=320,height=240,pixel-aspect-ratio=1/1" in text
    assert "sync=true" in text
    assert "sync=false" in text_of(source=f"file://{tmp_path}/a.mp4", realtime=False)


def test_a_missing_file_or_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=f"no such file; the nearest existing folder is {tmp_path}"):
        sources.check(CameraSettings(source=f"file://{tmp_path}/sub/none.mp4"))
    with pytest.raises(SettingError, match=r"is a folder without images \(\.jpg"):
        sources.check(CameraSettings(source=f"file://{tmp_path}"))


def test_bayer_frames_are_passed_through_or_refused() -> None:
    text = text_of(source="v4l2:///dev/video0", image_encoding="bayer_rggb8")
    assert "capsfilter caps=video/x-bayer,format=rggb" in text
    with pytest.raises(SettingError, match="cannot be rotated"):
        text_of(source="v4l2:///dev/video0", image_encoding="bayer_rggb8", flip_method="clockwise")
    with pytest.raises(SettingError, match="does not deliver Bayer"):
        text_of(source="file:///a.mp4", image_encoding="bayer_rggb8")


def test_element_names_are_found_among_quotes_blanks_and_caps() -> None:
    text = 'filesrc location="/a cool ! file" ! video/x-raw,format=(string){ I420, NV12 } ! tee name=t t. ! fakesink'
    assert gst.element_names(text) == ["filesrc", "tee", "fakesink"]


def jetson(element: str) -> bool:
    return desktop(element) or element.startswith(("nvv4l2", "nvvid", "nvarg"))


def test_rtsp_removes_the_login_from_the_address() -> None:
    text = text_of(source="rtsp://me:p%40ss@cam:554/live?x=1", rtsp_transport="tcp", latency=50)
    assert 'location="rtsp://cam:554/live?x=1" user-id="me" user-pw="p@ss" protocols=tcp latency=50' in text
    assert "tee name=tap" in text
    text = text_of(source="rtsp://cam/live", rtsp_user="you", rtsp_password='quo"te')
    assert 'user-id="you" user-pw="quo\\"te" protocols=tcp+udp-mcast+udp' in text
    with pytest.raises(SettingError, match="names no host"):
        text_of(source="rtsp:///live")


def test_an_rtp_source_states_its_codec_and_needs_a_port() -> None:
    text = text_of(source="rtp://@:5600", rtp_codec="h265")
    assert "udpsrc port=5600 buffer-size=4000000 caps=application/x-rtp,media=video,clock-rate=90000" in text
    assert "rtph265depay ! h265parse ! video/x-h265,stream-format=hvc1,alignment=au ! tee name=tap" in text
    assert "avdec_h265 thread-type=slice" in text
    assert "udpsrc port=5600 address=239.1.2.3" in text_of(source="rtp://239.1.2.3:5600")
    assert "nvv4l2decoder ! nvvidconv ! video/x-raw,format=I420" in text_of(jetson, source="rtp://@:5600")
    for bad in ("rtp://@:80000", "rtp://@:0", "rtp://@", "rtp://here:x"):
        with pytest.raises(SettingError, match="needs a port"):
            text_of(source=bad)


def test_an_http_source_is_mjpeg_hls_or_a_file() -> None:
    assert 'souphttpsrc location="http://cam/a?b=1"' in text_of(source="http://cam/a?b=1")
    assert "multipartdemux" in text_of(source="http://cam/a")
    assert 'uridecodebin uri="https://me:pw@cam/x.m3u8"' in text_of(source="https://me:pw@cam/x.m3u8")
    assert sources.plan(CameraSettings(source="http://cam/x.mp4"), desktop).ends


def test_csi_is_argus_on_a_jetson_and_libcamera_elsewhere() -> None:
    text = text_of(jetson, source="csi://1", flip_method="rotate-180", image_width=1920, image_height=1080)
    assert "nvarguscamerasrc sensor-id=1 ! video/x-raw(memory:NVMM),format=NV12,width=1920,height=1080" in text
    assert "nvvidconv flip-method=2 ! video/x-raw,format=I420" in text
    assert text.count("flip") == 1  # rotated once
    assert "libcamerasrc" in text_of(lambda name: name == "libcamerasrc", source="csi://0")
    with pytest.raises(MissingDependency, match="JetPack"):
        text_of(desktop, source="csi://0")


def test_the_command_and_sink_of_a_pasted_pipeline_are_removed() -> None:
    pasted = (
        "gst-launch-1.0 -v v4l2src ! videoconvert ! agingtv scratch-lines=10 ! videoconvert ! xvimagesink sync=false"
    )
    settings = CameraSettings(pipeline=pasted)
    plan = sources.plan(settings, desktop)
    assert plan.head == "v4l2src ! videoconvert ! agingtv scratch-lines=10 ! videoconvert"
    assert "xvimagesink at the end is ignored" in plan.notes[0]
    with pytest.raises(SettingError, match="contains no element"):
        text_of(source="pipeline: ")


@pytest.mark.parametrize("source", ["rtsp://cam/x", "file:///a.mp4", "http://cam/x.m3u8", "http://cam/x.mp4"])
def test_on_a_jetson_frames_leave_nvmm_memory_after_gstreamers_own_choice(source: str) -> None:
    after = r"(parsebin ! tee name=tap tap. ! queue name=decode ! decodebin|expose-all-streams=false) "
    assert re.search(after + r"! nvvidconv ! video/x-raw,format=I420 ! videoconvert", text_of(jetson, source=source))
    assert re.search(after + "! videoconvert", text_of(source=source))


def test_a_chosen_rtsp_decoder_gives_frames_in_main_memory() -> None:
    text = text_of(jetson, source="rtsp://cam/x", decoder="nvv4l2decoder")
    assert "queue name=decode ! nvv4l2decoder ! nvvidconv ! video/x-raw,format=I420 ! videoconvert" in text
    with pytest.raises(MissingDependency, match=r"decoder 'nvh264dec'.*NVIDIA driver"):
        text_of(source="rtsp://cam/x", decoder="nvh264dec")


@pytest.mark.parametrize(
    ("have", "decoder"),
    [(desktop, "avdec_h264 thread-type=slice"), (jetson, "nvv4l2decoder ! nvvidconv ! video/x-raw,format=I420")],
)
def test_coded_video_of_a_usb_camera_is_decoded_and_kept_for_recording(have, decoder: str) -> None:
    settings = {"source": "v4l2://0", "image_width": 1920, "image_height": 1080, "framerate": 30.0}
    text = text_of(have, **settings, pixel_format="h264")
    camera = 'v4l2src device="/dev/video0" ! video/x-h264,width=1920,height=1080,framerate=30/1'
    parsed = "h264parse ! video/x-h264,stream-format=avc,alignment=au"
    decode = f"h264parse ! {decoder} ! videoconvert"
    assert text.startswith(f"{camera} ! {parsed} ! tee name=tap tap. ! queue name=decode ! {decode}")
    assert "appsink name=coded" in text
    assert "videoscale" not in text
    assert "h265parse" in text_of(have, **settings, pixel_format="h265")


def test_a_jetson_rotates_and_scales_in_hardware() -> None:
    text = text_of(jetson, source="rtsp://cam/x", flip_method="clockwise", image_width=480, image_height=640)
    assert "nvvidconv flip-method=3 ! video/x-raw,width=480,height=640" in text
    assert "videoflip" not in text


@pytest.mark.parametrize(
    ("have", "element", "reported"),
    [
        (
            desktop,
            "avdec_h265",
            r"decoder: auto → avdec_h265, because the CPU is the best available; not installed: nvv4l2decoder",
        ),
        (jetson, "nvv4l2decoder", r"decoder: auto → nvv4l2decoder, because Jetson's decoder is the best available$"),
        (lambda name: desktop(name) or name == "vah265dec", "vah265dec", "VA-API"),
        (lambda name: desktop(name) or name.startswith("nvh"), "nvh265dec", "NVIDIA's decoder"),
    ],
)
def test_the_best_decoder_is_chosen_and_the_choice_reported(have, element: str, reported: str) -> None:
    text, note = platform.decode_text("h265", "auto", have)
    assert text.startswith(f"h265parse ! {element}")
    assert re.search(reported, note)


def test_an_unavailable_decoder_is_reported() -> None:
    with pytest.raises(SettingError, match="use auto or one of nvv4l2decoder"):
        text_of(source="rtp://@:5000", decoder="libde265dec")
    with pytest.raises(MissingDependency, match="NVIDIA driver"):
        text_of(source="rtp://@:5000", decoder="nvh265dec")


def test_deinterlacing_and_rotation_elements_are_added_only_where_needed() -> None:
    settings = {"deinterlace": "auto", "orientation": "auto"}
    assert "deinterlace mode=auto" in text_of(source="file:///a.mp4", **settings)
    assert "videoflip name=upright video-direction=auto" in text_of(source="file:///a.mp4", **settings)
    assert "deinterlace mode=auto" in text_of(source="rtsp://cam/x", **settings)
    assert "video-direction" not in text_of(source="rtsp://cam/x", **settings)
    assert "deinterlace" not in text_of(source="test://smpte", **settings)
    assert "deinterlace mode=interlaced" in text_of(source="v4l2://0", deinterlace="always")


@pytest.mark.parametrize(
    "source",
    [
        "rtsp://admin:S3c]ret*@127.0.0.1:7254/live", "rtsp://admin:a/b@10.0.0.7/live", "rtsp://admin:a#b@10.0.0.7/live",
        "rtsp://admin:a?b@10.0.0.7/live", "rtsp://admin:12/b@10.0.0.7/live", "rtsp://admin:a b@10.0.0.7/live",
        "http://admin:a[b@10.0.0.7/live", "https://admin:a/b@10.0.0.7/x.mp4",
    ],
)  # fmt: skip
def test_a_password_that_breaks_the_address_is_hidden_and_reported_with_the_remedy(source: str) -> None:
    with pytest.raises(SettingError, match=r"percent-encode.*rtsp_password") as reported:
        text_of(source=source)
    for piece in ("S3c", "ret", ":a", "/b@", "#b", "?b", " b@"):
        assert piece not in str(reported.value).partition("percent-encode")[0].replace("'source'", "")


@pytest.mark.parametrize(
    "source",
    [
        "http://[::1/x", "rtsp://host:99999/x", "rtsp://host:0/x", "rtsp://host:port/x", "http://[zz]/x", "rtsp://[::1",
        "rtsp://", "http:///x", "rtsp:", "http://", "rtsp://ho st/x", "rtp://@:99999", "rtp://[::1", "v4l2://", "csi://x",
        "file:///" + "x" * 5000, "file:///a\0b", "x" * 100_000, "", "://", "test://nothing", "1234", "pipeline:",
        "file://relative", "\0", "rtsp://\u2100/x", "http://\ud800/x",
    ],
)  # fmt: skip
def test_any_text_that_is_not_a_source_is_a_setting_error(source: str) -> None:
    with pytest.raises(SettingError):
        prepare(CameraSettings(source=source))


def test_percent_encoded_passwords_and_at_signs_in_the_userinfo_work() -> None:
    text = text_of(source="rtsp://me:p%40ss%2Fw%5D@cam:554/live?user=a@b")
    assert 'location="rtsp://cam:554/live?user=a@b" user-id="me" user-pw="p@ss/w]"' in text
    assert 'user-pw="p@ss"' in text_of(source="rtsp://me:p@ss@cam/live")


def test_a_silent_source_reports_what_it_waits_for() -> None:
    """From the start, without waiting for a timeout."""
    with socket.socket() as server:  # accepts connections and never responds
        server.bind(("127.0.0.1", 0))
        server.listen()
        address = f"rtsp://127.0.0.1:{server.getsockname()[1]}/x"
        camera = Camera(CameraSettings(source=address), lambda frame: None)
        camera.start()
        try:
            wait_until(lambda: camera.status().waiting == f"connecting to {address}")
        finally:
            camera.stop()
    camera = Camera(CameraSettings(source="v4l2:///dev/video77"), lambda frame: None)
    camera.start()
    try:
        wait_until(lambda: "/dev/video77" in camera.status().waiting and camera.status().problem)
    finally:
        camera.stop()
