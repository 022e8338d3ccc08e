"""Tracklets that somebody else's tracker found, as they are posted: checked, cut, encoded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from passerby.array_types import Float32, Float64, Int64, UInt8
from passerby.config.tracking import TrackingSettings
from passerby.embedding.tracklet import Tracklet
from passerby.gallery.gallery import Gallery
from passerby.gallery.images_or_vectors import thumbnail, unit_vectors
from passerby.gallery.times import to_seconds
from passerby.service.context import ServiceContext
from passerby.service.errors import ServiceError
from passerby.service.schemas import TrackletFields, TrackletRequest, TrackletVectorsRequest
from passerby.service.uploads import open_image
from passerby.tracking.crop_selection import cut_crop

_USUAL = TrackingSettings()


@dataclass
class PostedTracklet:
    """A tracklet, and whether it is good enough to say who it is.

    Attributes:
        tracklet: with the vectors of the pictures that are good enough.
        least_quality: below it there is no verdict.
        skipped: pictures without a vector, by reason.
    """

    tracklet: Tracklet
    least_quality: float
    skipped: dict[str, int]

    @property
    def good(self) -> bool:
        """As in tracking: some vector, and a quality that is high enough."""
        return len(self.tracklet.vectors) > 0 and self.tracklet.quality >= self.least_quality


@dataclass
class _Crops:
    """Crops that are worth a vector, and where they stand among the pictures."""

    pixels: list[UInt8] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    qualities: list[float] = field(default_factory=list)
    skipped: dict[str, int] = field(default_factory=dict)

    def skip(self, reason: str) -> None:
        self.skipped[reason] = self.skipped.get(reason, 0) + 1


def tracklet_of_pictures(
    context: ServiceContext, gallery: Gallery, fields: TrackletRequest, images: Sequence[bytes]
) -> PostedTracklet:
    """From crops of a person, or from frames and boxes; each picture is decoded, cut and released in turn.

    Raises:
        ServiceError: 4xx, an image that cannot be read, or lists that do not fit the images; 503, overloaded.
    """
    passage = _Passage.of(fields, len(images), "images")
    if fields.boxes is not None:
        _check_boxes(fields.boxes, len(images))
    least = _least_quality(fields)
    crops = _Crops()
    with context.pixels.hold(images):
        for place, image in enumerate(_opened(context, images)):
            _take(crops, image, place, fields, float(passage.scores[place]), least)
    vectors = gallery.encode(crops.pixels) if crops.pixels else np.zeros((0, context.encoder.dim), np.float32)
    best = int(np.argmax(crops.qualities)) if crops.pixels else 0
    picture = thumbnail(crops.pixels[best]) if crops.pixels and gallery.thumbnails else None
    made = passage.tracklet(fields, vectors, crops.places, crops.qualities, picture)
    return PostedTracklet(made, least, crops.skipped)


def tracklet_of_vectors(context: ServiceContext, fields: TrackletVectorsRequest) -> PostedTracklet:
    """From vectors of the gallery's encoder.

    Raises:
        ServiceError: 422, lists that do not fit the vectors.
        GalleryError: vectors of another length, or of length zero.
    """
    vectors = unit_vectors(fields.vectors, context.encoder.dim)
    passage, least = _Passage.of(fields, len(vectors), "vectors"), _least_quality(fields)
    good = np.flatnonzero(passage.scores >= least)
    skipped = {f"of a score below {least:g}": len(vectors) - len(good)} if len(good) < len(vectors) else {}
    made = passage.tracklet(fields, vectors[good], good.tolist(), passage.scores[good].tolist(), None)
    return PostedTracklet(made, least, skipped)


@dataclass(frozen=True)
class _Passage:
    """Numbers, moments and scores of the pictures, [n] each."""

    frames: Int64
    times: Float64
    scores: Float64

    @classmethod
    def of(cls, fields: TrackletFields, count: int, what: str) -> _Passage:
        for name in ("times", "frames", "scores"):
            given = getattr(fields, name)
            if given is not None and len(given) != count:
                raise ServiceError(
                    422, f"body.{name}: expected one entry for each of {count} {what}, found {len(given)}"
                )
        times = np.array([to_seconds(time, what=f"times.{i}") for i, time in enumerate(fields.times)], np.float64)
        frames = np.arange(1, count + 1) if fields.frames is None else np.array(fields.frames, np.int64)
        if (np.diff(times) < 0).any():
            raise ServiceError(422, f"body.times: {what} are in the order of their moments; found an earlier one later")
        if (frames[1:] <= frames[:-1]).any():
            raise ServiceError(422, "body.frames: expected ascending numbers, each once")
        scores = np.ones(count) if fields.scores is None else np.array(fields.scores, np.float64)
        return cls(frames, times, scores)

    def tracklet(
        self,
        fields: TrackletFields,
        vectors: Float32,
        places: Sequence[int],
        qualities: Sequence[float],
        picture: bytes | None,
    ) -> Tracklet:
        return Tracklet(
            camera=fields.camera,
            frames=self.frames,
            times=self.times,
            boxes=np.zeros((len(self.frames), 4), np.float32),  # the gallery does not store them
            scores=self.scores.astype(np.float32),
            vectors=vectors,
            vector_frames=self.frames[list(places)],
            crop_quality=np.array(qualities, np.float32),
            source=fields.source,
            thumbnail=picture,
        )


def _least_quality(fields: TrackletFields) -> float:
    return _USUAL.least_quality if fields.least_quality is None else fields.least_quality


def _opened(context: ServiceContext, images: Sequence[bytes]) -> Iterator[UInt8]:
    bits, most = context.encoder.preprocessing.bits, context.limits.pixels
    for place, data in enumerate(images):
        yield open_image(data, place, max_pixels=most, bits=bits)


def _check_boxes(boxes: Sequence[Sequence[float]], count: int) -> None:
    if len(boxes) != count:
        raise ServiceError(422, f"body.boxes: expected one entry for each of {count} images, found {len(boxes)}")
    for place, (left, top, right, bottom) in enumerate(boxes):
        if not (left < right and top < bottom):
            raise ServiceError(
                422, f"body.boxes.{place}: expected left, top, right, bottom with left < right, top < bottom"
            )


def _take(crops: _Crops, image: UInt8, place: int, fields: TrackletRequest, score: float, least: float) -> None:
    """Cut one picture, and keep the crop where it is good enough."""
    pixels, quality = image, score
    if fields.boxes is not None:
        cut = cut_crop(image, np.array(fields.boxes[place], np.float32), score=score)
        if cut is None:
            crops.skip("boxes outside of their picture")
            return
        pixels, quality = cut.pixels.copy(), cut.quality
    if pixels.shape[0] < _USUAL.min_height:
        crops.skip(f"lower than {_USUAL.min_height} pixels")
    elif quality < least:
        crops.skip(f"of a quality below {least:g}")
    else:
        crops.pixels.append(pixels)
        crops.places.append(place)
        crops.qualities.append(quality)
