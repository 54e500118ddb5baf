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

Names are relative to the namespace of the node (``/camera`` by default); ``~`` is the node. A new publisher,
subscription or service needs a row here: a test compares this table with the calls in the node packages.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Endpoint:
    """One topic or service of one node. ``kind`` is ``publishes``, ``subscribes`` or ``serves``.

    ``type`` is the full ROS type; ``qos`` describes the quality of service of a topic and is empty for a service.
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
    Endpoint("camera", "publishes", "image_raw", IMAGE, RELIABLE, "The image; its stamp is the capture time."),
    Endpoint("camera", "publishes", "image_raw/compressed", "sensor_msgs/msg/CompressedImage", RELIABLE,
             "The same image as JPEG; encoded only while there are subscribers."),
    Endpoint("camera", "publishes", "camera_info", CAMERA_INFO, RELIABLE,
             "The calibration, with the stamp of the image. Without a calibration, `k[0]` is 0."),
    Endpoint("camera", "serves", "set_camera_info", "sensor_msgs/srv/SetCameraInfo", "", "Set the calibration."),
    Endpoint("camera", "serves", "~/snapshot", "std_srvs/srv/Trigger", "", "Store the next frame as an image file."),
    Endpoint("camera", "serves", "~/record", "std_srvs/srv/SetBool", "", "Start or stop recording to a video file."),
    Endpoint("camera", "serves", "~/step", "std_srvs/srv/Trigger", "",
             "Release the next frame of a recording in step mode (`mcap:///file.mcap?step=true`)."),
    Endpoint("rtp_sender", "subscribes", "image_raw", IMAGE, LISTEN, "The images to send."),
    Endpoint("rtp_sender", "publishes", "video", "foxglove_msgs/msg/CompressedVideo", RELIABLE,
             "The access units as sent."),
    Endpoint("rtp_sender", "serves", "~/force_keyframe", "std_srvs/srv/Trigger", "", "Make the next frame a keyframe."),
    Endpoint("rtp_receiver", "publishes", "image_raw", IMAGE, RELIABLE,
             "The received image with the capture time of the sender; in `stream/` in the shipped launch files."),
    Endpoint("rtp_receiver", "publishes", "camera_info", CAMERA_INFO, RELIABLE, "An empty calibration, same stamp."),
    Endpoint("detector", "subscribes", "image_raw", IMAGE, LISTEN,
             "The images to process; `<camera>/image_raw` for each name in `cameras`."),
    Endpoint("detector", "publishes", "detections", DETECTIONS, "reliable, depth 10",
             "One array for every processed image, possibly empty; header and pixel coordinates of the source image."),
    Endpoint("detector", "publishes", "overlay", IMAGE, RELIABLE,
             "The image with boxes; drawn only while there are subscribers."),
    Endpoint("detector", "publishes", "label_info", "vision_msgs/msg/LabelInfo", LATCHED,
             "Class numbers, class names and the threshold."),
    Endpoint("detector", "publishes", "vision_info", "vision_msgs/msg/VisionInfo", LATCHED,
             "Method, back end and location of the labels."),
    Endpoint("detector", "publishes", "shadow/detections", DETECTIONS, "reliable, depth 10",
             "Detections of the shadow model in the same images, while it is running."),
    Endpoint("detector", "serves", "~/load_model", "std_srvs/srv/Trigger", "",
             "Load the model set by the parameters, while the old one keeps running."),
    Endpoint("detector", "serves", "~/rollback", "std_srvs/srv/Trigger", "", "Return to the previous model."),
    Endpoint("collector", "subscribes", "image_raw", IMAGE, LISTEN, "The images to choose from."),
    Endpoint("collector", "subscribes", "detections", DETECTIONS, "reliable, depth 10", "The input of the rules."),
    Endpoint("collector", "serves", "~/keep", "std_srvs/srv/Trigger", "", "Keep the next frame."),
    Endpoint("recorder", "serves", "~/record", "std_srvs/srv/SetBool", "",
             "Start or stop a recording; the parameter `topics` names the topics to record."),
    Endpoint("recorder", "serves", "~/snapshot", "std_srvs/srv/Trigger", "",
             "Complete the recording and begin the next one; with `rolling` this preserves the last minutes."),
    Endpoint("events", "subscribes", "detections", DETECTIONS, "reliable, depth 10",
             "The input of the rules; needs the detector with `track: true`."),
    Endpoint("events", "subscribes", "label_info", "vision_msgs/msg/LabelInfo", LATCHED,
             "The detector's classes; a rule with an unknown class is reported in `/diagnostics`."),
    Endpoint("events", "subscribes", "camera_info", CAMERA_INFO, LISTEN, "The size of the image."),
    Endpoint("events", "subscribes", "image_raw/compressed", "sensor_msgs/msg/CompressedImage",
             "best effort, depth 5", "For snapshots, and for clips if there is no `video`."),
    Endpoint("events", "subscribes", "video", "foxglove_msgs/msg/CompressedVideo", "reliable, depth 60",
             "Clips without coding again; needs a running RTP sender."),
    Endpoint("events", "publishes", "events", "edgecam_msgs/msg/Event", "reliable, depth 50",
             "Every event, when it begins and when it ends."),
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
             "Times at which frames reached each stage, for `edgecam trace`: JSON `[[stage, stamp, time], ...]` in ns; "
             "published only while there are subscribers."),
)  # fmt: skip
