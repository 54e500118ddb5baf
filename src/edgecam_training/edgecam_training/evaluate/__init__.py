"""Accuracy: VOC AP, COCO mAP, curves and worst mistakes, for any model file."""
