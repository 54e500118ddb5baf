"""A model store with a proposal, for the page's tests."""

from __future__ import annotations

import json
from pathlib import Path

from edgecam_core.models import proposal
from edgecam_core.models.proposal import PENDING, Proposal
from edgecam_core.models.store import ModelStore
from tiny_models import color_detector


def proposed(folder: Path) -> ModelStore:
    """A store in ``folder`` with two versions of 'door': the first is deployed, the second waits for approval."""
    store = ModelStore(folder)
    report = folder.parent / "report.html"
    report.write_text("<style>p { color: red }</style><p>passed</p><script>document.title = 'run'</script>")
    for labels in (["BACKGROUND", "red", "green", "blue"], ["BACKGROUND", "rot", "gruen", "blau"]):
        model = color_detector(folder.parent / "m.onnx", metadata={"labels": json.dumps(labels)})
        store.add(model, "door", [report])
    store.deploy("door", 1)
    stored = store.version("door", 2)
    figures = {"before": "34.7 [24.5, 43.9]", "after": "72.8 [62.4, 85.2]", "learned": ["chicken", "pig"]}
    text = "better by 38.1 on 38 frames"
    made = Proposal("door", PENDING, text, 2, stored.facts["sha256"], stored.folder / "report.html", figures)
    proposal.write(store, made)
    return store
