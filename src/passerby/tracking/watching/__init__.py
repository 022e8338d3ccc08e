"""Watching a film or a camera: frames as they come, pieces of tracks in sight, sightings, where to go on."""
