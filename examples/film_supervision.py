"""Boxes of any model that `supervision` reads, as the detector of `passerby.track`; and passerby's boxes drawn by it.

    python examples/film_supervision.py FILM BOXES ENCODER PICTURE

BOXES is a MOT file that stands for a model; `find_people` is where yours goes: `sv.Detections.from_inference(...)`,
`from_transformers(...)` and the like. Writes the last picture with people drawn in. Needs `pip install
"passerby[track]"`, which brings supervision.
"""

import sys

import numpy as np
import supervision as sv
from PIL import Image

import passerby as pb
from passerby.tracking.films import read_frames


def main(film: str, boxes: str, encoder: str, picture: str) -> None:
    """Track a film, and draw its last people."""
    rows = pb.read_boxes(boxes).boxes
    frames = iter(range(1, 10**9))

    def find_people(image: np.ndarray) -> sv.Detections:
        frame = next(frames)
        own = [box for box in rows if box.frame == frame]
        if not own:
            return sv.Detections.empty()
        corners = np.array([(b.x, b.y, b.x + b.width, b.y + b.height) for b in own])
        return sv.Detections(xyxy=corners, confidence=np.array([b.confidence or 1.0 for b in own]))

    result = pb.track(film, encoder=encoder, detector=find_people, threshold=0.2)
    print(result)
    seen = result.films[0].rows
    last = int(seen.frames.max())
    in_last = seen.frames == last
    found = pb.Detections.of(seen.boxes[in_last], seen.scores[in_last], seen.identities[in_last]).to_supervision()
    image = next(f.image for f in read_frames(film, wanted=lambda index: index == last) if f.index == last)
    drawn = sv.BoxAnnotator(color_lookup=sv.ColorLookup.TRACK).annotate(np.ascontiguousarray(image), found)
    Image.fromarray(drawn).save(picture)


if __name__ == "__main__":
    main(*sys.argv[1:5])
