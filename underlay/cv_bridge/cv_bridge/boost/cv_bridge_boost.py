"""The functions of the original's compiled module, under their names."""

from cv_bridge.color import cvtColor2
from cv_bridge.display import cvtColorForDisplay
from cv_bridge.encodings import CV_MAT_CNWrap, CV_MAT_DEPTHWrap, getCvType

__all__ = ["CV_MAT_CNWrap", "CV_MAT_DEPTHWrap", "cvtColor2", "cvtColorForDisplay", "getCvType"]
