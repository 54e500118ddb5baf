"""Receives H.265 on UDP port 5000 as NumPy arrays with their capture time; needs neither ROS nor a display.

    gst-launch-1.0 videotestsrc is-live=true ! video/x-raw,format=I420 ! x265enc tune=zerolatency key-int-max=30 ! \
        rtph265pay config-interval=1 ! udpsink host=127.0.0.1 port=5000
    PYTHONPATH=src/edgecam_core python3 examples/rtp_client.py
"""

import sys
import time

from edgecam_core.rtp.receiver import Receiver
from edgecam_core.rtp.settings import ReceiverSettings

receiver = Receiver(ReceiverSettings(port=int(sys.argv[1]) if len(sys.argv) > 1 else 5000))
receiver.start()
for count, frame in enumerate(receiver, 1):
    pixels = frame.bgr()  # (height, width, 3) uint8, blue green red
    age_ms = (time.time_ns() - frame.stamp_ns) / 1e6
    print(f"frame {count}: {pixels.shape}, mean {pixels.mean():.1f}, captured {age_ms:.1f} ms ago", flush=True)
