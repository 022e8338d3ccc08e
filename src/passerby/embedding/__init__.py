"""Images and tracklets become vectors."""
