"""What the terminal shows of a page that other machines can reach: its address, the token and a QR code to scan."""

from __future__ import annotations

import io

import qrcode


def invitation(address: str, token: str) -> str:
    """Some 20 lines of text. ``address`` is the page's without the token."""
    url = f"{address}/?token={token}"
    drawing = io.StringIO()
    code = qrcode.QRCode(border=2)
    code.add_data(url)
    code.print_ascii(drawing, invert=True)  # light on dark, as most terminals are; readers take both
    return f"open {url}\ntoken {token}\n{drawing.getvalue().rstrip()}"


def show(text: str) -> None:
    """Print it; without the QR code where the terminal has no characters for one."""
    try:
        print(text, flush=True)
    except UnicodeEncodeError:
        print("\n".join(line for line in text.splitlines() if line.isascii()), flush=True)
