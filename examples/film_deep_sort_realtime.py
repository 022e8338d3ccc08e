"""A tracker of one's own (deep-sort-realtime) with vectors of a passerby encoder.

    python examples/film_deep_sort_realtime.py FILM DETECTOR ENCODER

DETECTOR is an OpenVINO or ONNX file of a person detector, or a MOT file of boxes; prints `frame,track,left,top,width,
height` for every confirmed track. Needs `pip install "passerby[track]" deep-sort-realtime`.
"""

import sys
from collections import defaultdict

import numpy as np
from deep_sort_realtime.deepsort_tracker import DeepSort

import passerby as pb
from passerby.tracking.films import read_frames


def main(film: str, boxes: str, encoder: str) -> None:
    """Print the confirmed tracks of a film."""
    by_frame = defaultdict(list)
    for box in pb.read_boxes(boxes).boxes if boxes.endswith(".txt") else ():
        by_frame[box.frame].append(([box.x, box.y, box.width, box.height], box.confidence or 1.0, "person"))
    detect = None if by_frame else pb.load_detector(boxes)
    tracker = DeepSort(max_age=30, embedder=None)
    tracker.embedder = pb.CropEmbedder(pb.load_encoder(encoder), colors="RGB")  # read_frames gives RGB
    for frame in read_frames(film):
        if frame.image is None:
            continue
        if detect is not None:
            found = detect(frame.image)
            sizes = np.concatenate([found.xyxy[:, :2], found.xyxy[:, 2:] - found.xyxy[:, :2]], axis=1)
            given = [(box, score, "person") for box, score in zip(sizes.tolist(), found.scores.tolist(), strict=True)]
        else:
            given = by_frame[frame.index]
        for track in tracker.update_tracks(given, frame=frame.image):
            if track.is_confirmed() and track.time_since_update == 0:
                print(frame.index, track.track_id, *(f"{side:.1f}" for side in track.to_ltwh()), sep=",")


if __name__ == "__main__":
    main(*sys.argv[1:4])
