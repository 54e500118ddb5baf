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

"""Converts ROS images to and from OpenCV arrays, with the interface and results of ROS 2's cv_bridge for Python.

For installations of ROS 2 from Python wheels, which lack the compiled original. It differs only where the original
fails or returns wrong pixels:

* ``uyvy``, ``yuyv``, ``nv12``, ``nv21`` and ``nv24`` are supported, in OpenCV's layout (NV12: rows x 3/2, one channel);
* rows may be padded by any number of bytes, and big-endian messages work with NumPy 2;
* an image whose step or data is too short for its size is an error, never a truncated or shifted image;
* a compressed image is converted from its actual format (grey, colour, alpha, 8 or 16 bits), not always from bgr8;
* errors are :class:`CvBridgeError` where the original raises KeyError, AttributeError or cv2.error, or returns None.
"""

from .core import CvBridge, CvBridgeError
from .display import cvtColorForDisplay
from .encodings import getCvType

__all__ = ["CvBridge", "CvBridgeError", "cvtColorForDisplay", "getCvType"]
