"""No error text contains a password, however the pipeline received it."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

import pytest
from edgecam_core.camera import sources
from edgecam_core.camera.plan import compose
from edgecam_core.camera.settings import CameraSettings
from edgecam_core.errors import EdgecamError, PipelineError, SettingError, SourceError
from edgecam_core.masking import masked, masked_address
from edgecam_core.media import gst
from edgecam_core.settings import Spec
from hypothesis import assume, given
from hypothesis import strategies as st

LOGIN = 'rtspsrc location="rtsp://cam/live" user-id="me" user-pw="top secret\\" 1" protocols=tcp'


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (LOGIN, 'rtspsrc location="rtsp://cam/live" user-id="me" user-pw="***" protocols=tcp'),
        ("souphttpsrc user-pw=secret ! fakesink", 'souphttpsrc user-pw="***" ! fakesink'),
        ("souphttpsrc proxy-pw = 'secret' ! fakesink", "souphttpsrc proxy-pw = '***' ! fakesink"),
        ('uri="https://me:secret@cam/x.m3u8" a', 'uri="https://me:***@cam/x.m3u8" a'),
        ("no login at http://cam:8080/a/b?c=d#e", "no login at http://cam:8080/a/b?c=d#e"),
        ("rtsp://admin:S3c]r@t/1 2*@cam:554/x is gone", "rtsp://admin:***@cam:554/x is gone"),
        ("rtsp://a:554/x failed, trying rtsp://me:secret@b/x", "rtsp://a:554/x failed, trying rtsp://me:***@b/x"),
        ("http://cam/v?user=admin&password=a/b@c&n=1", "http://cam/v?user=admin&password=***&n=1"),
        ("rtsp://cam/user=admin_password=x_channel=1", "rtsp://cam/user=admin_password=***"),
        ("http://cam/v?PWD=x&loginpas=y&key=z&auth=Zm9v", "http://cam/v?PWD=***&loginpas=***&key=***&auth=***"),
        ("x264enc pass=cbr key-int-max=30", "x264enc pass=cbr key-int-max=30"),
        ("-p rtsp_password:=secret -p rate:=5", "-p rtsp_password:=*** -p rate:=5"),
        ('{"password": "sec\\"ret", "rate": 5}', '{"password": "***", "rate": 5}'),
        ("Authorization: Basic YTpi", "Authorization: ***"),
        ("parameter 'rtsp_password' is missing", "parameter 'rtsp_password' is missing"),
    ],
)
def test_only_the_password_is_hidden(text: str, shown: str) -> None:
    assert masked(text) == shown


LONG = 100_000
UNITS = (
    "a", " ", "/", "_", "-", "@", "//a:", "//a:b@", " a://b:", "=a://", "pass", "?pass", "_pass", "&pass=", "password",
    "password=", "password ", "pw", "-pw", "token", "secret='", 'secret="', 'secret="\\"', "authorization", "auth:\n",
    "authorization ", "authorization:", "api_key", "code=", "\\", "\n", "=", ":",
)  # fmt: skip


@pytest.mark.timeout(120)  # with quadratic time each text would take minutes
@pytest.mark.parametrize(("hide", "start"), [(masked, ""), (masked, "//u:"), (masked_address, "rtsp://u?")])
def test_a_long_text_is_masked_in_linear_time(hide: Callable[[str], str], start: str) -> None:
    for unit in UNITS:
        text = f"{start}{unit * (LONG // len(unit))}"
        hidden = hide(text)
        assert hidden == text or hide(hidden) == hidden


PASSWORDS = st.text(st.characters(codec="utf-8", exclude_characters="\n\r"), min_size=4).map(lambda text: f"Zq{text}")
HOSTS = st.sampled_from(["cam", "192.168.1.9:554", "[fe80::1]", "a.example.com"])
ADDRESSES = st.sampled_from(
    [
        "rtsp://admin:{}@{}/live",
        "rtsp://me@example.com:{}@{}/live?channel=1",
        "http://:{}@{}",
        "srt://{1}?mode=caller&passphrase={0}",
        "http://{1}/video?user=admin&pwd={0}&channel=1",
        "http://{1}/video?token={0}",
        "rtsp://{1}/user=admin_password={0}",
        "http://{1}/snap.cgi?key={0}",
    ]
)


@given(template=ADDRESSES, host=HOSTS, password=PASSWORDS, coded=st.booleans())
def test_no_password_appears_in_an_address(template: str, host: str, password: str, coded: bool) -> None:
    in_query = "{0}" in template
    assume("://" not in password)  # then it is a separate address
    assume(not (in_query and "&" in password))  # it ends a value for every parser
    address = template.format(quote(password, safe="") if coded else password, host)
    for mask in (masked_address,) if in_query and not coded else (masked_address, masked):
        shown = mask(address)
        assert "Zq" not in shown
        assert mask(shown) == shown
        assert host in shown


@given(template=ADDRESSES, host=HOSTS, password=PASSWORDS, before=st.sampled_from(["no answer of ", 'uri="', "a b "]))
def test_no_password_appears_in_a_sentence(template: str, host: str, password: str, before: str) -> None:
    address = template.format(quote(password, safe=""), host)
    assert "Zq" not in masked(f"{before}{address} after 5 s, rate=5")


@given(user=st.text("abz-_", min_size=1), password=PASSWORDS)
def test_no_password_appears_in_a_pipeline(user: str, password: str) -> None:
    escaped = password.replace("\\", "\\\\").replace('"', '\\"')
    shown = masked(f'rtspsrc location=rtsp://cam/x user-id={user} user-pw="{escaped}" ! fakesink')
    assert shown == f'rtspsrc location=rtsp://cam/x user-id={user} user-pw="***" ! fakesink'


@pytest.mark.parametrize("head", [LOGIN, 'souphttpsrc location="http://me:secret@cam/x"'])
def test_no_pipeline_error_contains_a_password(head: str) -> None:
    with pytest.raises(PipelineError) as refused:
        gst.Pipeline(f"{head} ! capsfilter no-such-property=1 ! fakesink")
    pipeline = gst.Pipeline(f"{head} ! fakesink")
    with pytest.raises(PipelineError) as missing:
        pipeline.element("nobody")
    for error in (refused, missing):
        assert "secret" not in str(error.value)
        assert "***" in str(error.value)


def test_a_source_is_shown_without_a_password() -> None:
    assert "secret" not in sources.shown(CameraSettings(source=f"pipeline:{LOGIN} ! decodebin"))


def test_a_login_with_special_characters_stays_one_address() -> None:
    settings = CameraSettings(source="http://m%40e:p%2Fs%40s@cam/x.m3u8")
    text = compose(sources.plan(settings, gst.has_element), settings, gst.has_element)
    assert 'uri="http://m%40e:p%2Fs%40s@cam/x.m3u8"' in text
    assert 'uri="http://m%40e:***@cam/x.m3u8"' in masked(text)


@pytest.mark.parametrize(
    "error",
    [
        SettingError("source", "rtsp://me:top secret@cam/x", "is not a valid address"),
        SettingError("source", "http://cam/x?password=top secret", "is not a valid address"),
        SourceError("no answer of rtsp://me:top secret@cam/x"),
        EdgecamError.of(ValueError("rtsp://me:top secret@cam/x")),
    ],
)
def test_no_error_contains_a_password(error: EdgecamError) -> None:
    assert "secret" not in str(error)
    assert "***" in str(error)


def test_no_refusal_contains_the_value_of_a_secret_setting() -> None:
    spec = Spec(name="pin", type=str, default="", text="", choices=("1234",), secret=True)
    with pytest.raises(SettingError) as refused:
        spec.check("secret")
    assert "secret" not in str(refused.value)


def test_an_at_sign_in_the_text_behind_a_hidden_password_hides_nothing_more() -> None:
    text = "source 'rtsp://me:***@10.0.0.7:554/live': Unauthorized; write user:password@ into the source"
    assert masked(text) == text
