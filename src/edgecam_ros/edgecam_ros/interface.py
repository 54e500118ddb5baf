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

"""The public ROS interface of the nodes as one table. docs/reference/topics.md is generated from it.

Names are relative to the node's namespace (``/camera`` by default); ``~`` is the node itself. A new publisher or
service needs its row here: a test compares this table with the calls in the node packages.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Endpoint:
    """One topic or service of one node. ``kind`` is ``publishes``, ``subscribes`` or ``serves``.

    ``type`` is the full ROS type; ``qos`` names the quality of service of a topic and is empty for a service.
    """

    node: str
    kind: str
    name: str
    type: str
    qos: str
    text: str


IMAGE = "sensor_msgs/msg/Image"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
DETECTIONS = "vision_msgs/msg/Detection2DArray"
STATUS = "diagnostic_msgs/msg/DiagnosticArray"
RELIABLE, LATCHED, LISTEN = "reliable, depth 5", "reliable, latched", "best effort, depth 2"

ENDPOINTS = (
    Endpoint("camera", "publishes", "image_raw", IMAGE, RELIABLE, "The frame; its stamp is the capture time."),
    Endpoint("camera", "publishes", "image_raw/compressed", "sensor_msgs/msg/CompressedImage", RELIABLE,
             "The same frame as JPEG; encoded only while there are subscribers."),
    Endpoint("camera", "publishes", "camera_info", CAMERA_INFO, RELIABLE,
             "The calibration, with the stamp of the frame. Without a calibration `k[0]` is 0."),
    Endpoint("camera", "serves", "set_camera_info", "sensor_msgs/srv/SetCameraInfo", "", "Set the calibration."),
    Endpoint("camera", "serves", "~/snapshot", "std_srvs/srv/Trigger", "", "Store the next frame as an image file."),
    Endpoint("camera", "serves", "~/record", "std_srvs/srv/SetBool", "", "Start or stop recording to a video file."),
    Endpoint("camera", "serves", "~/step", "std_srvs/srv/Trigger", "",
             "Release the next frame of a recording that waits for this (`mcap:///file.mcap?step=true`)."),
    Endpoint("rtp_sender", "subscribes", "image_raw", IMAGE, LISTEN, "The frames to send."),
    Endpoint("rtp_sender", "publishes", "video", "foxglove_msgs/msg/CompressedVideo", RELIABLE,
             "The access units as sent."),
    Endpoint("rtp_sender", "serves", "~/force_keyframe", "std_srvs/srv/Trigger", "", "Make the next frame a keyframe."),
    Endpoint("rtp_receiver", "publishes", "image_raw", IMAGE, RELIABLE,
             "The received frame with the capture time of the sender. In `stream/` in the shipped launch files."),
    Endpoint("rtp_receiver", "publishes", "camera_info", CAMERA_INFO, RELIABLE, "An empty calibration, same stamp."),
    Endpoint("detector", "subscribes", "image_raw", IMAGE, LISTEN,
             "The frames to process; `<camera>/image_raw` for each name in `cameras`."),
    Endpoint("detector", "publishes", "detections", DETECTIONS, "reliable, depth 10",
             "One array for every processed frame, empty if nothing was found; header and pixels of the source."),
    Endpoint("detector", "publishes", "overlay", IMAGE, RELIABLE,
             "The frame with its boxes; drawn only while there are subscribers."),
    Endpoint("detector", "publishes", "label_info", "vision_msgs/msg/LabelInfo", LATCHED,
             "Class numbers, names and the threshold."),
    Endpoint("detector", "publishes", "vision_info", "vision_msgs/msg/VisionInfo", LATCHED,
             "Method, back end, and where the labels are."),
    Endpoint("detector", "publishes", "shadow/detections", DETECTIONS, "reliable, depth 10",
             "Detections of the shadow model in the same frames, while one is running."),
    Endpoint("detector", "serves", "~/load_model", "std_srvs/srv/Trigger", "",
             "Load the model set by the parameters, while the old one keeps running."),
    Endpoint("detector", "serves", "~/rollback", "std_srvs/srv/Trigger", "", "Go back to the previous model."),
    Endpoint("collector", "subscribes", "image_raw", IMAGE, LISTEN, "The frames to choose from."),
    Endpoint("collector", "subscribes", "detections", DETECTIONS, "reliable, depth 10", "The input of the rules."),
    Endpoint("collector", "serves", "~/keep", "std_srvs/srv/Trigger", "", "Keep the next frame."),
    Endpoint("recorder", "serves", "~/record", "std_srvs/srv/SetBool", "",
             "Start or stop a recording; the parameter `topics` names what is subscribed to meanwhile."),
    Endpoint("recorder", "serves", "~/snapshot", "std_srvs/srv/Trigger", "",
             "Complete the recording and begin the next one; with `rolling` this preserves the last minutes."),
    Endpoint("events", "subscribes", "detections", DETECTIONS, "reliable, depth 10",
             "The input of the rules; with `track: true` for the detector."),
    Endpoint("events", "subscribes", "label_info", "vision_msgs/msg/LabelInfo", LATCHED,
             "The detector's classes: a rule that names another one is reported in `/diagnostics`."),
    Endpoint("events", "subscribes", "camera_info", CAMERA_INFO, LISTEN, "The size of the image."),
    Endpoint("events", "subscribes", "image_raw/compressed", "sensor_msgs/msg/CompressedImage",
             "best effort, depth 5", "Snapshots, and clips where there is no `video`."),
    Endpoint("events", "subscribes", "video", "foxglove_msgs/msg/CompressedVideo", "reliable, depth 60",
             "Clips without coding again; needs a running RTP sender."),
    Endpoint("events", "publishes", "events", "edgecam_msgs/msg/Event", "reliable, depth 50",
             "Every event when it begins and when it ends."),
    Endpoint("viewer", "subscribes", "image_raw", IMAGE, LISTEN,
             "Subscribed only while a viewer is connected; the parameter `image_topics` names them."),
    Endpoint("viewer", "subscribes", "detections", DETECTIONS, "reliable, depth 10",
             "The parameter `detections_topics` names them."),
    Endpoint("viewer", "subscribes", "/diagnostics", STATUS, "reliable, depth 50", "The status of every node."),
    Endpoint("monitor", "subscribes", "detections", DETECTIONS, "reliable, depth 10", "Rates and latency."),
    Endpoint("monitor", "subscribes", "/diagnostics", STATUS, "reliable, depth 50", "The status of every node."),
    Endpoint("every node", "publishes", "/diagnostics", STATUS, "reliable, depth 10",
             "Status once a second, named `<namespace>/<node>`."),
    Endpoint("every node", "publishes", "/edgecam/trace", "std_msgs/msg/String", "reliable, depth 50",
             "When frames reached each stage, for `edgecam trace`: JSON `[[stage, stamp, time], ...]` in ns; "
             "nothing without subscribers."),
)  # fmt: skip
