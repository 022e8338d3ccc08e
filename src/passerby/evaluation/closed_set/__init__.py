"""Closed-set protocols: CMC, mAP, mINP."""
