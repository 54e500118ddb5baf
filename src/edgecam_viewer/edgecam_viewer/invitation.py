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

"""The terminal text for a page that other machines can reach: its token, and its address as a QR code."""

from __future__ import annotations

import io


def invitation(url: str, token: str) -> str:
    """About 20 lines of text. ``url`` is the address of the page with the token; the QR code contains it."""
    import qrcode  # with Pillow; a page for this machine alone needs neither

    drawing = io.StringIO()
    code = qrcode.QRCode(border=2)
    code.add_data(url)
    code.print_ascii(drawing, invert=True)  # light on dark, as in most terminals; readers accept both
    return f"token {token}\n{drawing.getvalue().rstrip()}"


def show(text: str) -> None:
    """Print the text, without the QR code if the terminal lacks the characters."""
    try:
        print(text, flush=True)
    except UnicodeEncodeError:
        print("\n".join(line for line in text.splitlines() if line.isascii()), flush=True)
