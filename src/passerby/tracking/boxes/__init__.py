"""Boxes that a detector, a tracker or an annotator wrote into a file."""
