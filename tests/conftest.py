"""For all tests."""

import signal

# Shells let SIGINT be ignored in what they start in the background, and every process started here would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
