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

"""Class names of COCO detectors with 91 outputs: BACKGROUND, then the category ids 1 to 90.

COCO numbers 91 categories but annotates only 80. Ids 12, 26, 29, 30, 45, 66, 68, 69, 71 and 83 have no annotations, so
no model has learned them and none may be reported. They are called ``unused <id>`` here.
"""

from __future__ import annotations

_ANNOTATED = """
1 person, 2 bicycle, 3 car, 4 motorcycle, 5 airplane, 6 bus, 7 train, 8 truck, 9 boat, 10 traffic light,
11 fire hydrant, 13 stop sign, 14 parking meter, 15 bench, 16 bird, 17 cat, 18 dog, 19 horse, 20 sheep, 21 cow,
22 elephant, 23 bear, 24 zebra, 25 giraffe, 27 backpack, 28 umbrella, 31 handbag, 32 tie, 33 suitcase, 34 frisbee,
35 skis, 36 snowboard, 37 sports ball, 38 kite, 39 baseball bat, 40 baseball glove, 41 skateboard, 42 surfboard,
43 tennis racket, 44 bottle, 46 wine glass, 47 cup, 48 fork, 49 knife, 50 spoon, 51 bowl, 52 banana, 53 apple,
54 sandwich, 55 orange, 56 broccoli, 57 carrot, 58 hot dog, 59 pizza, 60 donut, 61 cake, 62 chair, 63 couch,
64 potted plant, 65 bed, 67 dining table, 70 toilet, 72 tv, 73 laptop, 74 mouse, 75 remote, 76 keyboard,
77 cell phone, 78 microwave, 79 oven, 80 toaster, 81 sink, 82 refrigerator, 84 book, 85 clock, 86 vase,
87 scissors, 88 teddy bear, 89 hair drier, 90 toothbrush
"""

_NAMES = {int(number): name for number, name in (item.split(maxsplit=1) for item in _ANNOTATED.strip().split(","))}

LABELS: tuple[str, ...] = ("BACKGROUND", *(_NAMES.get(index, f"unused {index}") for index in range(1, 91)))
"""91 names; the index is the category id."""

UNUSED: frozenset[int] = frozenset(range(1, 91)) - frozenset(_NAMES)
"""The ids without annotations in COCO."""
