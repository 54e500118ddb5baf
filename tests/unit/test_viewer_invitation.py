"""The token of a page that other machines can open: shown in the terminal, scanned, followed and typed."""

from __future__ import annotations

import aiohttp
import cv2
import numpy as np
import pytest
from edgecam_core.errors import SettingError
from edgecam_viewer.invitation import invitation
from edgecam_viewer.settings import ViewerSettings
from viewer_served import Served


@pytest.mark.parametrize(
    "token", ["open sesame", "a&b=c#d%20e+f", 'q"u;o,t\\e', "schlüssel", "鍵🔑", "/?token=x", "é" * 100]
)
async def test_any_token_opens_the_page_by_address_qr_code_and_form(token: str) -> None:
    with Served(token=token) as served:
        shown = invitation(served.server.url, token)
        assert shown.startswith(f"token {token}\n")
        assert scanned(shown) == served.server.url
        for method, url, data in (("GET", served.server.url, None), ("POST", f"{served.base}/", {"token": token})):
            jar = aiohttp.CookieJar(unsafe=True)
            async with aiohttp.ClientSession(cookie_jar=jar, headers={"Origin": served.base}) as session:
                async with session.request(method, url, data=data) as answer:
                    assert (answer.status, "main.js" in await answer.text()) == (200, True)
                async with session.ws_connect(f"{served.base}/ws") as link:
                    assert (await link.receive(timeout=120)).data


def scanned(shown: str) -> str:
    """The text that a phone reads from a QR code of half blocks in a terminal."""
    rows = [line for line in shown.splitlines() if set(line) <= set("█▀▄ \xa0") and line]
    bright = [[glyph in halves for glyph in row] for row in rows for halves in ("█▀", "█▄")]
    width = max(map(len, bright))
    pixels = np.array([row + [False] * (width - len(row)) for row in bright], np.uint8) * 255
    decoder = cv2.QRCodeDetector()  # at one size it misses 2 % of the codes; a phone tries several times
    sizes = (np.kron(pixels, np.ones((size, size), np.uint8)) for size in (8, 4, 6, 5, 3))
    texts = (decoder.detectAndDecode(np.pad(large, 40, constant_values=255))[0] for large in sizes)
    return next(filter(None, texts), "")


@pytest.mark.parametrize("token", [" x", "x\n", "a\tb", "x" * 101])
def test_a_token_that_cannot_be_typed_or_scanned_is_refused(token: str) -> None:
    with pytest.raises(SettingError, match=r"token.*at most 100 printable characters") as refusal:
        ViewerSettings(token=token)
    assert token not in str(refusal.value)
