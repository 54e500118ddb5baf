"""Run one group of checks and print its findings as one line of JSON; ``examine`` starts this."""

import json
import sys

from edgecam_core.doctor import examine_group

print(json.dumps([finding.as_dict() for finding in examine_group(sys.argv[1])]))
