"""ROS images to and from OpenCV arrays, with the names and results of the Python half of ROS 2's cv_bridge.

A stand-in for installations of ROS 2 from Python wheels, which lack the compiled original. Differences, all of them
where the original fails or gives wrong pixels:

* ``uyvy``, ``yuyv``, ``nv12``, ``nv21`` and ``nv24`` are known, with OpenCV's layout (NV12: rows x 3/2, one channel);
* rows padded by any number of bytes, and big-endian messages with NumPy 2;
* an image whose step or data is too short for its size is an error, never a cut or shifted image;
* a compressed image converts from what it really holds (grey, colour, alpha, 8 or 16 bits), not always from bgr8;
* errors are :class:`CvBridgeError` where the original lets KeyError, AttributeError or cv2.error out, or returns None.
"""

from .core import CvBridge, CvBridgeError
from .display import cvtColorForDisplay
from .encodings import getCvType

__all__ = ["CvBridge", "CvBridgeError", "cvtColorForDisplay", "getCvType"]
