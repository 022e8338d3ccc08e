"""A gallery of known people: enrol, identify, observe, forget, merge, and the history of it all."""

from __future__ import annotations

import os
import time as clock
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, cast

import numpy as np

from passerby.errors import GalleryError, GalleryRequestError
from passerby.gallery import changes, transfer
from passerby.gallery.probes import (
    VectorEncoder,
    encode_pictures,
    looks_like_vectors,
    mean_vector,
    read_pictures,
    thumbnail,
    unit_vectors,
)
from passerby.gallery.records import (
    Camera,
    Event,
    Floats,
    Forgotten,
    Identification,
    Identity,
    IdentityRecord,
    Match,
    Moment,
    Note,
    Observation,
    Ranking,
    Score,
    ScoreName,
    Sighting,
    Where,
    to_seconds,
)
from passerby.gallery.stores.opening import open_store
from passerby.gallery.stores.protocol import Store

__all__ = ["Event", "Forgotten", "Gallery", "Identification", "Identity", "Match", "Observation", "Sighting"]


class Gallery:
    """Known people and their sightings, searched by the vectors of one encoder.

    Distances are Euclidean between unit vectors (0 to 2). A probe is *known* if its nearest admissible identity is
    at a distance strictly below the threshold. Every change is durable when the call returns, stands in the log
    (`history`), and can be taken back (`undo`), except forgetting: what is forgotten is gone.

    Use `Gallery.open`, and close it (or use it as a context manager). One object may be shared by threads; several
    processes may open the same gallery.
    """

    def __init__(self, store: Store, encoder: VectorEncoder | None, *, fingerprint: str = "", score: Score) -> None:
        self._store = store
        self._encoder = encoder
        self._fingerprint = encoder.fingerprint if encoder is not None else fingerprint
        self._score = score
        self._thumbnails = True
        self._check_encoder()

    @classmethod
    def open(
        cls,
        location: str | os.PathLike[str],
        encoder: VectorEncoder | None = None,
        *,
        fingerprint: str = "",
        read_only: bool = False,
        storage: Literal["float32", "float16"] = "float32",
        thumbnails: bool = True,
        score: ScoreName = "min",
        score_k: int = 3,
    ) -> Gallery:
        """Open a gallery, or make a new one.

        Args:
            location: a file (SQLite, exact search in memory); "milvus://host:19530/NAME" or a path ending in ".db"
                for Milvus (extra `milvus`).
            encoder: turns images into vectors. None for administration, and for galleries filled with bare vectors.
            fingerprint: without an encoder: that of the encoder your vectors come from (`Encoder.fingerprint`,
                `Embeddings.fingerprint`). A gallery that knows its encoder takes no vectors of unknown origin.
            read_only: refuse every change.
            storage: of a new gallery: float32, or float16, which halves the file.
            thumbnails: store a small JPEG of each enrolled image.
            score: how the distances to an identity's observations become one number: "min", "mean" (of the
                `score_k` nearest) or "centroid".
            score_k: see `score`.

        Raises:
            GalleryError: not a gallery, damaged, of another encoder, or of a newer version.
            StorageError: it cannot be made here.
        """
        chosen = Score(score, score_k)
        store = open_store(os.fspath(location), read_only=read_only, storage=storage)
        try:
            gallery = cls(store, encoder, fingerprint=fingerprint, score=chosen)
        except BaseException:
            store.close()
            raise
        gallery._thumbnails = thumbnails
        return gallery

    def close(self) -> None:
        """Close the gallery; nothing is lost if this is forgotten."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        """Number of identities (those merged into another do not count)."""
        return sum(record.merged_into is None for record in self._store.identities().values())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and bool(self._store.find([name]))

    def __repr__(self) -> str:
        return f"Gallery({self.location!r}, {len(self)} identities, {self._store.count()} observations)"

    # -- what it is --------------------------------------------------------------------------------------------------

    @property
    def location(self) -> str:
        """The file or address."""
        return self._store.location

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the encoder that made its vectors; "" where that is not known."""
        return self._store.settings().fingerprint

    @property
    def dim(self) -> int:
        """Numbers in a vector; 0 while the gallery is empty and new."""
        return self._store.settings().dim

    @property
    def observation_count(self) -> int:
        """Stored observations."""
        return self._store.count()

    @property
    def threshold(self) -> float | None:
        """The gallery's own threshold, else the encoder's calibrated one, else None."""
        own = self._store.settings().threshold
        if own is not None or self._encoder is None:
            return own
        return self._encoder.threshold

    def set_threshold(self, threshold: float | None, *, actor: str = "") -> None:
        """Give the gallery its own threshold (None: the encoder's). Logged, can be undone."""
        if threshold is not None and not threshold >= 0:
            raise GalleryRequestError(f"threshold: expected a distance of 0 or more, found {threshold!r}")
        with self._store.transaction():
            changes.set_threshold(self._store, None if threshold is None else float(threshold), actor)

    # -- enrol -------------------------------------------------------------------------------------------------------

    def enroll(
        self,
        identity: str | int,
        images: Any = None,
        *,
        vectors: Any = None,
        camera: Camera | Sequence[Camera | None] | None = None,
        time: Moment | Sequence[Moment | None] | None = None,
        notes: str | None = None,
        consent: str | None = None,
        expires: Moment | None = None,
        tracklet: bool = False,
        actor: str = "",
    ) -> tuple[int, ...]:
        """Add observations to an identity, which is made if there is none of this name.

        Args:
            identity: its name. The name of an identity that was merged into another means that other one.
            images: one image or several: paths, encoded bytes, RGB uint8 arrays [H, W, 3], a uint8 tensor
                [n, 3, H, W]; floating-point arrays are taken as vectors.
            vectors: instead of images, one vector [D] or several [n, D]; they are brought to unit length.
            camera: of all images, or one for each.
            time: of all images, or one for each: seconds, a date, or ISO 8601 text.
            notes: free text about the identity (replaces what was there).
            consent: what consent there is, and where it is written down.
            expires: retention date, after which `purge` forgets the identity.
            tracklet: the images (or vectors) are the frames of one tracklet: their mean becomes one observation, with
                the middle frame's picture.
            actor: who asked, for the log.

        Returns:
            Ids of the new observations. All are stored, or none.

        Raises:
            GalleryError: vectors of another encoder or dimension, or no image and no vector.
            ImageError: an image cannot be read.
            StorageError: it cannot be written.
        """
        name = _checked_name(identity)
        rows, pictures = self._vectors_and_thumbnails(images, vectors)
        if tracklet:
            rows, pictures = mean_vector(rows), [pictures[len(pictures) // 2]]
        cameras = [_camera(c) for c in _for_each(camera, len(rows), "camera")]
        times = _times(time, len(rows))
        retention = changes.retention(expires)
        with self._store.transaction():
            self._adopt(rows)
            record = changes.find_or_none(self._store, name)
            created = record is None
            if record is None:
                record = changes.new_identity(self._store, name)
            if notes is not None or consent is not None or expires is not None:
                changes.describe(self._store, record, notes, consent, retention, actor, log=not created)
            owners = np.full(len(rows), record.id, np.int64)
            ids = self._store.add_observations(owners, rows, cameras, times, pictures)
            changes.log_enroll(self._store, "enroll", record.id, ids, created, actor)
        return tuple(ids.tolist())

    def enroll_many(
        self,
        identities: Sequence[str | int],
        vectors: Any,
        *,
        cameras: Sequence[Camera | None] | None = None,
        times: Sequence[Moment | None] | None = None,
        thumbnails: Sequence[bytes | None] | None = None,
        actor: str = "",
    ) -> tuple[int, ...]:
        """Add vectors [n, D] of many identities at once; row i belongs to `identities[i]`.

        All are stored, or none. It can be undone as one change.

        Returns:
            Ids of the new observations.
        """
        rows = self._checked_vectors(vectors)
        if len(identities) != len(rows):
            raise GalleryRequestError(f"enroll_many: {len(identities)} identities for {len(rows)} vectors")
        names = {identity: _checked_name(identity) for identity in set(identities)}
        camera_names = [_camera(c) for c in _for_each(cameras, len(rows), "camera")]
        seconds = _times(times, len(rows))
        pictures = [None] * len(rows) if thumbnails is None else list(thumbnails)
        with self._store.transaction():
            self._adopt(rows)
            ids = changes.enroll_many(
                self._store, [names[i] for i in identities], rows, camera_names, seconds, pictures, actor
            )
        return tuple(ids.tolist())

    # -- identify ----------------------------------------------------------------------------------------------------

    def identify(
        self,
        probe: Any,
        *,
        camera: Camera | None = None,
        exclude_camera: bool | Camera | Sequence[Camera] | None = True,
        after: Moment | None = None,
        before: Moment | None = None,
        threshold: float | None = None,
        top: int = 10,
        score: ScoreName | None = None,
    ) -> Identification:
        """Who is this? Changes nothing.

        Args:
            probe: one image or one vector; or a list of them, which is taken as one tracklet: several views of *one*
                person, compared by the normalised mean of their vectors.
            camera: where the probe was taken.
            exclude_camera: observations not to compare with. True (default): those of the probe's own `camera`, as
                re-ID evaluation does, since another picture of the same scene proves nothing about recognition
                across cameras. False or None: compare with all. Or the name(s) of cameras.
            after: compare only with observations from this moment on; those without a time are left out.
            before: compare only with observations up to this moment; those without a time are left out.
            threshold: accept the nearest identity below this distance (strictly); default: the gallery's or encoder's.
            top: number of candidates.
            score: another score than the gallery's.

        Raises:
            GalleryError: the probe cannot be compared with this gallery's vectors.
            ImageError: the image cannot be read.
        """
        row = mean_vector(self._probe_vectors(probe))
        where = _where(camera, exclude_camera, after, before)
        return self._identify(row, [where], threshold, top, score)[0]

    def identify_many(
        self,
        probes: Any,
        *,
        cameras: Sequence[Camera | None] | None = None,
        exclude_camera: bool | Camera | Sequence[Camera] | None = True,
        after: Moment | None = None,
        before: Moment | None = None,
        threshold: float | None = None,
        top: int = 10,
        score: ScoreName | None = None,
    ) -> list[Identification]:
        """`identify` for several images or vectors [n, D] of people who have nothing to do with each other.

        Faster than one by one. `cameras[i]` is that of probe i; the other arguments hold for all.
        """
        rows = self._probe_vectors(probes)
        own = _for_each(cameras, len(rows), "camera")
        wheres = [_where(camera, exclude_camera, after, before) for camera in own]
        return self._identify(rows, wheres, threshold, top, score)

    def observe(
        self,
        probe: Any,
        *,
        camera: Camera | None = None,
        time: Moment | None = None,
        exclude_camera: bool | Camera | Sequence[Camera] | None = False,
        keep: bool = False,
        threshold: float | None = None,
        top: int = 10,
        score: ScoreName | None = None,
        actor: str = "",
    ) -> Sighting:
        """Identify, else enrol as a new unknown ("unknown-1", "unknown-2", ...); in one step, whoever else writes.

        Args:
            probe: an image, a vector, or a list of them (a tracklet).
            camera: where it was taken; stored with the sighting.
            time: when; stored with the sighting.
            exclude_camera: as in `identify`, but False by default: a person seen twice by one camera is one person,
                and must not become two unknowns.
            keep: add the vectors of a known person to the gallery, too. Off by default: every wrong acceptance would
                pull the identity towards somebody else. The sighting stands in the history either way.
            threshold: see `identify`; without any threshold nothing can be observed.
            top: number of candidates in the answer.
            score: another score than the gallery's.
            actor: who asked, for the log.

        Raises:
            GalleryError: no threshold, or vectors of another encoder.
        """
        rows, pictures = self._vectors_and_thumbnails(probe, None)
        camera_name = _camera(camera)
        times = _times(time, len(rows))
        where = _where(camera, exclude_camera, None, None)
        with self._store.transaction():
            self._adopt(rows)
            found = self._identify(mean_vector(rows), [where], threshold, top, score)[0]
            if found.threshold is None:
                raise GalleryRequestError("observe needs a threshold: calibrate the encoder, or pass threshold=")
            record = None if found.identity is None else changes.find_or_none(self._store, found.identity)
            new = record is None
            if record is None:
                record = changes.new_unknown(self._store)
            ids: tuple[int, ...] = ()
            if new or keep:
                owners = np.full(len(rows), record.id, np.int64)
                stored = self._store.add_observations(owners, rows, [camera_name] * len(rows), times, pictures)
                changes.log_enroll(self._store, "observe", record.id, stored, new, actor)
                ids = tuple(stored.tolist())
            else:
                changes.log_seen(self._store, record.id, camera_name, times[0], found.matches[0].distance, actor)
        return Sighting(record.name, new, found, ids)

    def _identify(
        self, rows: Floats, wheres: Sequence[Where], threshold: float | None, top: int, score: ScoreName | None
    ) -> list[Identification]:
        if top < 1:
            raise GalleryRequestError(f"top: expected at least 1, found {top}")
        if threshold is not None and not threshold >= 0:
            raise GalleryRequestError(f"threshold: expected a distance of 0 or more, found {threshold!r}")
        limit = self.threshold if threshold is None else float(threshold)
        chosen = self._score if score is None else Score(score, self._score.k)
        rankings = self._store.search(rows, wheres, top=top, score=chosen)
        names = self._store.names({i for ranking in rankings for i in ranking.identities.tolist()})
        return [_answer(ranking, names, limit) for ranking in rankings]

    # -- look ----------------------------------------------------------------------------------------------------

    def identities(self) -> list[Identity]:
        """All identities, in the order in which they were made."""
        return changes.summaries(self._store)

    def describe(self, identity: str | int) -> Identity:
        """One identity and what is known of it.

        Raises:
            GalleryError: there is none of this name.
        """
        return changes.summaries(self._store, [self._record(identity).id])[0]

    def observations(self, identity: str | int | None = None) -> list[Observation]:
        """Stored sightings of an identity, or all, in the order in which they were stored."""
        chosen = None if identity is None else [self._record(identity).id]
        columns = self._store.observations(chosen)
        names = self._store.names(set(columns.identities.tolist()))
        return [
            Observation(observation, names.get(owner, ""), camera, None if moment != moment else moment)
            for observation, owner, camera, moment in zip(
                columns.ids.tolist(), columns.identities.tolist(), columns.cameras, columns.times.tolist(), strict=True
            )
        ]

    def vectors(self, observations: Sequence[int]) -> Floats:
        """Unit vectors [n, D] of observations."""
        return self._store.vectors(np.asarray(observations, np.int64))

    def thumbnail(self, observation: int) -> bytes | None:
        """The small JPEG of an observation; None where it was enrolled as a bare vector."""
        return self._store.thumbnail(observation)

    def history(self, identity: str | int | None = None, *, limit: int | None = None) -> list[Event]:
        """The log of changes, newest first: all, or those of one identity."""
        chosen = None if identity is None else self._record(identity).id
        events = self._store.events(chosen, limit=limit)
        names = self._store.names({event.identity for event in events if event.identity is not None})
        return [replace(event, name=names.get(event.identity or 0)) for event in events]

    def log(self, action: str, *, identity: str | int | None = None, actor: str = "", **detail: float | str) -> None:
        """Write an entry of one's own to the log (for example: who asked for whom). No names in `detail`."""
        known = None if identity is None else self._record(identity).id
        self._store.append_events([Event(0, clock.time(), action, actor, known, detail=detail)])

    def log_many(self, entries: Sequence[Note]) -> None:
        """`log` for many entries at once: all are on the disk when it returns, for the price of one, or none is.

        An identity that there is none of (any more) is left out of its entry.
        """
        names = list({entry.identity for entry in entries if entry.identity is not None})
        known = {name: record.id for name, record in changes.find_all(self._store, names).items()}
        now = clock.time()
        self._store.append_events(
            [Event(0, now, e.action, e.actor, known.get(e.identity or ""), detail=e.detail) for e in entries]
        )

    # -- change ------------------------------------------------------------------------------------------------------

    def update(
        self,
        identity: str | int,
        *,
        name: str | None = None,
        notes: str | None = None,
        consent: str | None = None,
        expires: Moment | None = None,
        actor: str = "",
    ) -> Identity:
        """Change an identity's name, notes, consent or retention date ("never": none); what is None stays.

        Raises:
            GalleryError: no such identity, or the new name is taken.
        """
        new_name = None if name is None else _checked_name(name)
        retention = changes.retention(expires)
        with self._store.transaction():
            record = self._record(identity)
            changes.describe(self._store, record, notes, consent, retention, actor, name=new_name)
        return changes.summaries(self._store, [record.id])[0]

    def rename(self, identity: str | int, name: str, *, actor: str = "") -> Identity:
        """Give an identity another name (an unknown one that is named is no longer unknown)."""
        return self.update(identity, name=name, actor=actor)

    def merge(self, into: str | int, other: str | int, *, actor: str = "") -> Identity:
        """`other` turns out to be `into`: move its observations there. Its name goes on as a second name of `into`."""
        with self._store.transaction():
            target, source = self._record(into), self._record(other)
            changes.merge(self._store, target, source, actor)
        return changes.summaries(self._store, [target.id])[0]

    def split(
        self, identity: str | int, observations: Sequence[int], *, name: str | None = None, actor: str = ""
    ) -> Identity:
        """Some observations turn out to be somebody else: move them to a new identity (default: a new unknown)."""
        new_name = None if name is None else _checked_name(name)
        with self._store.transaction():
            made = changes.split(self._store, self._record(identity), list(observations), new_name, actor)
        return changes.summaries(self._store, [made])[0]

    def forget(self, identity: str | int, *, actor: str = "") -> Forgotten:
        """Erase an identity: vectors, thumbnails, names, notes, and what the log says of it, from all files.

        What was merged into it goes with it. The log keeps that somebody was forgotten, when and by whom, not who.
        This cannot be undone. Backups and exports made before still hold the person.

        Raises:
            GalleryError: there is none of this name.
        """
        with self._store.transaction():
            record = self._record(identity)
            count = changes.forget(self._store, [record.id], "forget", actor)
        return Forgotten((record.name,), count, self._store.settle_erasure())

    def purge(self, now: Moment | None = None, *, actor: str = "") -> Forgotten:
        """Forget every identity whose retention date has come; also finishes what erasure was still pending."""
        moment = clock.time() if now is None else to_seconds(now, what="now")
        with self._store.transaction():
            expired = changes.expired(self._store, moment)
            count = changes.forget(self._store, [record.id for record in expired], "purge", actor)
        return Forgotten(tuple(record.name for record in expired), count, self._store.settle_erasure())

    def undo(self, event: int | None = None, *, actor: str = "") -> Event:
        """Take the last change back, or the change `event`, if nothing later builds upon it.

        Raises:
            GalleryError: nothing to undo, it cannot be undone (forget, purge), a later change is in the way, or a
                name that it would bring back is another identity's by now.
        """
        with self._store.transaction():
            undone = changes.undo(self._store, event, actor)
        self._store.settle_erasure()
        return undone

    # -- keep --------------------------------------------------------------------------------------------------------

    def backup(self, target: str | os.PathLike[str]) -> None:
        """Write a consistent copy to a new file, while others read and write."""
        self._store.backup(Path(target))

    def check(self) -> None:
        """Read and verify everything; GalleryError names what is damaged."""
        self._store.check()

    def compact(self) -> None:
        """Give the space of forgotten observations back to the file system."""
        self._store.compact()

    def export_parquet(self, target: str | os.PathLike[str]) -> int:
        """Write identities, vectors, cameras, times and thumbnails to a Parquet file; number of observations."""
        return transfer.export_parquet(self._store, Path(target))

    def import_parquet(self, source: str | os.PathLike[str], *, actor: str = "") -> int:
        """Add what `export_parquet` wrote; identities of the same name are joined. Number of observations."""
        return transfer.import_parquet(self._store, Path(source), self._expected_fingerprint(), actor)

    # -- inside ------------------------------------------------------------------------------------------------------

    def _record(self, identity: str | int) -> IdentityRecord:
        return changes.find(self._store, _checked_name(identity))

    def _check_encoder(self) -> None:
        settings = self._store.settings()
        if self._fingerprint and settings.fingerprint and self._fingerprint != settings.fingerprint:
            raise GalleryError(
                f"{self.location}: a gallery of the encoder {settings.fingerprint!r}, opened with the encoder "
                f"{self._fingerprint!r}: their vectors cannot be compared; open it with its own encoder, or enrol the "
                "images anew in a new gallery"
            )
        if self._encoder is not None and settings.dim not in (0, self._encoder.dim):
            raise GalleryError(
                f"{self.location}: holds vectors of {settings.dim} numbers; the encoder gives {self._encoder.dim}"
            )

    def _expected_fingerprint(self) -> str:
        return self._fingerprint or self._store.settings().fingerprint

    def _adopt(self, rows: Floats) -> None:
        """A gallery belongs to the encoder of its first vectors."""
        self._check_encoder()
        settings = self._store.settings()
        if not settings.dim:
            self._store.change_settings(replace(settings, dim=rows.shape[1], fingerprint=self._fingerprint))
        elif settings.dim != rows.shape[1]:
            raise GalleryRequestError(
                f"{self.location}: holds vectors of {settings.dim} numbers, found {rows.shape[1]}"
            )

    def _checked_vectors(self, vectors: Any) -> Floats:
        settings = self._store.settings()
        if settings.fingerprint and not self._fingerprint:
            raise GalleryRequestError(
                f"{self.location}: holds vectors of the encoder {settings.fingerprint!r}; say where yours come from: "
                "open the gallery with the encoder, or with fingerprint="
            )
        dim = self._encoder.dim if self._encoder is not None else settings.dim
        return unit_vectors(vectors, dim or None)

    def _encode(self, images: Any) -> tuple[Floats, list[Any]]:
        if self._encoder is None:
            raise GalleryRequestError(f"{self.location}: opened without an encoder; images need one, vectors do not")
        pictures = read_pictures(images)
        return encode_pictures(self._encoder, pictures), cast("list[Any]", pictures)

    def _probe_vectors(self, probe: Any) -> Floats:
        return self._checked_vectors(probe) if looks_like_vectors(probe) else self._encode(probe)[0]

    def _vectors_and_thumbnails(self, images: Any, vectors: Any) -> tuple[Floats, list[bytes | None]]:
        if (images is None) == (vectors is None):
            raise GalleryRequestError("enroll: pass images or vectors, one of the two")
        if vectors is None and looks_like_vectors(images):
            vectors = images
        if vectors is not None:
            rows = self._checked_vectors(vectors)
            return rows, [None] * len(rows)
        rows, pictures = self._encode(images)
        return rows, [thumbnail(picture) if self._thumbnails else None for picture in pictures]


def _answer(ranking: Ranking, names: Mapping[int, str], threshold: float | None) -> Identification:
    columns = zip(
        ranking.identities.tolist(),
        ranking.distances.tolist(),
        ranking.cameras,
        ranking.times.tolist(),
        ranking.observations.tolist(),
        strict=True,
    )
    matches = tuple(
        Match(names[identity], distance, camera, None if moment != moment else moment, observation)
        for identity, distance, camera, moment, observation in columns
        if identity in names  # else another process has forgotten it since the search
    )
    return Identification(matches, threshold, ranking.considered, ranking.stored - ranking.considered)


def _checked_name(identity: str | int) -> str:
    name = str(identity) if isinstance(identity, (int, np.integer)) and not isinstance(identity, bool) else identity
    if not isinstance(name, str) or not name.strip() or len(name) > 200 or not name.isprintable():
        raise GalleryRequestError(f"identity: expected a name of 1 to 200 printable characters, found {identity!r}")
    return name


def _camera(camera: object) -> str | None:
    if camera is None:
        return None
    name = str(camera) if isinstance(camera, (str, int, np.integer)) and not isinstance(camera, bool) else ""
    if not name or len(name) > 200 or not name.isprintable():
        raise GalleryRequestError(f"camera: expected a name or a number, found {camera!r}")
    return name


def _for_each(value: Any, count: int, what: str) -> list[Any]:
    """One value for all, or one for each."""
    if isinstance(value, (list, tuple, np.ndarray)):
        if len(value) != count:
            raise GalleryRequestError(f"{what}: {len(value)} values for {count} observations")
        return list(value)
    return [value] * count


def _times(value: Any, count: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    moments = _for_each(value, count, "time")
    return np.array([np.nan if m is None else to_seconds(m, what="time") for m in moments], np.float64)


def _where(camera: object, exclude: Any, after: Moment | None, before: Moment | None) -> Where:
    own = _camera(camera)
    if exclude is True:
        cameras = [own]
    elif exclude is False or exclude is None:
        cameras = []
    else:
        cameras = [_camera(c) for c in (exclude if isinstance(exclude, (list, tuple, set, frozenset)) else [exclude])]
    start = None if after is None else to_seconds(after, what="after")
    end = None if before is None else to_seconds(before, what="before")
    if start is not None and end is not None and start > end:
        raise GalleryRequestError(f"time window: it starts ({start:g}) after its end ({end:g})")
    return Where(frozenset(name for name in cameras if name is not None), start, end)
