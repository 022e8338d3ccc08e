"""Boxes in a COCO JSON file: annotations of a film's frames, or a detector's results."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from passerby.errors import DataError
from passerby.tracking.boxes.box import Box
from passerby.tracking.boxes.box_file import BoxFile, frame_of_name, person_number, real_numbers, whole_number
from passerby.tracking.boxes.json_lines import boxes_of_entries

_TRACKS = ("track_id", "instance_id", "object_id")
_FRAMES = ("frame_id", "frame_index", "frame")


def read_coco(path: Path, first_frame: int | None = None) -> BoxFile:
    """Read a COCO file with `images`, `annotations` and `categories`, a bare list of results, or of other objects.

    An image's frame is its `frame_id`, `frame_index` or `frame`, else the last number in its `file_name`; in a list
    of results the `image_id` is the frame. Lists without `image_id` are read as `read_json_lines` reads its lines. A
    track is `track_id`, `instance_id` or `object_id`, also under `attributes`. Crowds and what is marked `ignore` are
    kept as not to be counted.

    Raises:
        DataError: not such a file, frames of several films, or an annotation that is wrong (the message names it).
    """
    try:
        content = json.loads(path.read_text("utf-8-sig"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: the boxes cannot be read as JSON ({error})") from None
    found = BoxFile(path, "coco")
    if isinstance(content, dict) and isinstance(content.get("frames"), list):
        content = content["frames"]
    if isinstance(content, list) and not all(isinstance(entry, dict) and "image_id" in entry for entry in content):
        return found.add(boxes_of_entries(found, list(enumerate(content, start=1)), "entry"), first_frame)
    if isinstance(content, list):
        return found.add(_boxes(found, content, None, {}), first_frame)
    if not isinstance(content, dict) or not {"images", "annotations"} <= content.keys():
        raise DataError(f"{path}: expected a COCO file with images and annotations, or a list of results")
    films = {image.get("video_id") for image in content["images"]}
    if len(films) > 1:
        raise DataError(f"{path}: frames of {len(films)} films (video_id); expected those of one film a file")
    frames = {image["id"]: _frame(image, path) for image in content["images"]}
    labels = {category["id"]: str(category["name"]) for category in content.get("categories", [])}
    return found.add(_boxes(found, content["annotations"], frames, labels), first_frame)


def _frame(image: Mapping[str, Any], path: Path) -> int:
    for name in _FRAMES:
        if name in image:
            return whole_number(image[name], f"{path}, image {image['id']}", name)
    return frame_of_name(str(image.get("file_name", "")), f"{path}, image {image['id']}")


def _boxes(
    found: BoxFile,
    annotations: Sequence[Mapping[str, Any]],
    frames: Mapping[Any, int] | None,
    labels: Mapping[Any, str],
) -> Iterator[Box]:
    numbers = [entry.get("category_id") for entry in annotations if isinstance(entry, Mapping)]
    person = int(person_number(numbers))
    for number, annotation in enumerate(annotations, start=1):
        where = f"{found.path}, annotation {number}"
        if not isinstance(annotation, Mapping) or len(annotation.get("bbox", ())) != 4:
            raise DataError(f"{where}: expected an object with bbox [x, y, width, height], found {annotation!r}")
        category = annotation.get("category_id")
        label = labels.get(category) if labels else None if category in (None, person) else f"class {category}"
        if not found.takes_label(label):
            continue
        image = annotation.get("image_id")
        if frames is not None and image not in frames:
            raise DataError(f"{where}: image_id {image!r} is none of the images")
        frame = whole_number(image, where, "image_id") if frames is None else frames[image]
        merged = {**annotation.get("attributes", {}), **annotation}
        track = next((whole_number(merged[name], where, name) for name in _TRACKS if merged.get(name) is not None), -1)
        x, y, width, height = real_numbers(annotation["bbox"], where)
        score = annotation.get("score")
        confidence = None if score is None else real_numbers([score], where)[0]
        ignored = bool(annotation.get("iscrowd") or annotation.get("ignore"))
        yield Box(frame, track, x, y, width, height, confidence, number, ignored=ignored)
