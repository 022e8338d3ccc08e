"""A gallery of known people: enrol, identify, observe, forget, merge, and the history of it all."""

from __future__ import annotations

import os
import time as clock
import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from passerby.array_types import Float32
from passerby.embedding.tracklet import Tracklet
from passerby.errors import GalleryRequestError
from passerby.gallery import changes, enrolment, identification, identities, observing, undo
from passerby.gallery.argument_checks import (
    Camera,
    camera_name,
    camera_names,
    checked_ids,
    checked_threshold,
    identity_name,
    is_integer,
    retention_date,
    search_filter,
    times_in_seconds,
)
from passerby.gallery.comparison import Comparison, agreed_cohort, comparison_of, set_comparison
from passerby.gallery.consolidation import LEAST_SIMILARITY, Consolidation, consolidate
from passerby.gallery.encoder_vectors import EncodedInput, EncoderVectors, encoder_of
from passerby.gallery.enrolment import NewObservations
from passerby.gallery.events import Event, Note
from passerby.gallery.false_accept_rate import agreed_far, checked_far, checked_kind, stored_far
from passerby.gallery.images_or_vectors import (
    VectorEncoder,
    checked_thumbnail,
    checked_thumbnails,
    mean_vector,
    small_jpeg,
)
from passerby.gallery.pair_judgements import PairJudgement, judge_pair
from passerby.gallery.passages import moments_of, passage, record_of
from passerby.gallery.repeated_pictures import new_rows
from passerby.gallery.result_types import (
    Forgotten,
    FoundSightings,
    Identification,
    Identity,
    Match,
    Observation,
    Sighting,
)
from passerby.gallery.sightings import answer_of, find_sightings, sighting_filter
from passerby.gallery.stores.opening import file_of, open_store
from passerby.gallery.stores.protocol import Settings, Store
from passerby.gallery.stores.rows import CameraSightings, IdentityRecord, Where
from passerby.gallery.times import Moment, is_instant, to_seconds
from passerby.gallery.verdict_rule import VerdictRule
from passerby.search.score import Score, ScoreName

if TYPE_CHECKING:
    from passerby.gallery.calibration import Calibrator, GalleryCalibration
    from passerby.gallery.duplicates import DuplicatePair
    from passerby.gallery.sighting_import import ImportedSightings
    from passerby.gallery.stores.sqlite.salvage import Salvage
    from passerby.gallery.thinning import ThinnedTemplates

__all__ = ["Event", "Forgotten", "Gallery", "Identification", "Identity", "Match", "Observation", "Sighting"]


class Gallery:
    """Known people and their sightings, searched by the vectors of one encoder.

    Distances are Euclidean between unit vectors (0 to 2). A probe is *known* if its nearest admissible identity is
    at a distance strictly below the threshold: that of the call, else the one that was set (`set_threshold`), else the
    one at which the asked false accept rate is reached among the people of this gallery (`calibration`). Every
    change is durable when the call returns, is in the log (`history`), and can be taken back (`undo`), except
    forgetting, which erases.

    Use `Gallery.open`, and close it (or use it as a context manager). One object may be shared by threads; several
    processes may open the same gallery.
    """

    def __init__(
        self,
        store: Store,
        encoder: VectorEncoder | None,
        *,
        fingerprint: str | None = None,
        score: Score,
        thumbnails: bool = True,
        far: float | None = None,
        guaranteed: bool = False,
    ) -> None:
        self._store = store
        self._inputs = EncoderVectors(store, encoder, fingerprint or "")
        self._score = score
        self._thumbnails = thumbnails
        self._far = far
        self._guaranteed = guaranteed
        self._made_calibrator: Calibrator | None = None

    @classmethod
    def open(
        cls,
        location: str | os.PathLike[str],
        encoder: VectorEncoder | str | os.PathLike[str] | None = None,
        *,
        fingerprint: str | None = None,
        read_only: bool = False,
        storage: Literal["float32", "float16"] | None = None,
        thumbnails: bool = True,
        score: ScoreName = "min",
        score_k: int = 3,
        far: float | None = None,
        override_far: bool = False,
        guaranteed: bool = False,
        cohort: bool | None = None,
    ) -> Gallery:
        """Open a gallery, or make a new one.

        Args:
            location: a file (SQLite, exact search in memory); or Milvus (extra `milvus`): "milvus://host:19530/NAME",
                "milvus:https://host:19530/NAME" or "milvus:PATH.db" (milvus-lite, a folder).
            encoder: turns images into vectors; or where `passerby.load_encoder` finds one. None for administration, and
                for galleries filled with bare vectors.
            fingerprint: without an encoder: that of the encoder your vectors come from (`Encoder.fingerprint`,
                `Embeddings.fingerprint`). A gallery that knows its encoder takes no vectors of unknown origin.
            read_only: refuse every change.
            storage: of vectors: "float32" (default of a new gallery), or "float16", which halves the file. An existing
                gallery must have it; Milvus stores float32.
            thumbnails: store a small JPEG of each enrolled image.
            score: how the distances to an identity's observations become one number: "min", "mean" (of the
                `score_k` nearest) or "centroid".
            score_k: see `score`.
            far: asked false accept rate: the share of people who are not enrolled that may be taken for somebody who
                is. Stored with a new gallery (default 0.01); of an existing one it must be the stored one.
            override_far: use `far` in this open gallery only, whatever is stored.
            guaranteed: p-values that assume nothing but that people are exchangeable; below 1 / far - 1 enrolled people
                nobody is accepted then.
            cohort: judge distances relative to a cohort (see `set_comparison`). Stored with a new gallery, where it
                counts from 200 enrolled people on; of an existing one it must be what is stored.

        Raises:
            GalleryError: not a gallery, damaged, of another encoder, storage, `far` or `cohort`, or of a newer version;
                or `encoder` is none.
            WeightsError: where `encoder` says there is no encoder.
            StorageError: it cannot be made here.
        """
        chosen = Score(score, score_k)
        known = encoder_of(encoder)  # before a gallery is made
        store = open_store(os.fspath(location), read_only=read_only, storage=storage)
        try:
            own_far = agreed_far(store, far, override=override_far, read_only=read_only)
            agreed_cohort(store, cohort, read_only=read_only)
            return cls(
                store,
                known,
                fingerprint=fingerprint,
                score=chosen,
                thumbnails=thumbnails,
                far=own_far,
                guaranteed=guaranteed,
            )
        except BaseException:
            store.close()
            raise

    def load(self) -> None:
        """Read now what searches need of a gallery's file; without it the first search does, and takes so much longer.

        Opening reads settings and identities alone. Each block of vectors is compared with its checksum when it is
        read. Milvus keeps them itself.

        Raises:
            DamagedGalleryError: some of them are damaged.
        """
        self._store.load()

    def close(self) -> None:
        """Close the gallery; nothing is lost without it."""
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

    # -- properties --------------------------------------------------------------------------------------------------

    @property
    def location(self) -> str:
        """The file or address."""
        return self._store.location

    @property
    def encoder(self) -> VectorEncoder | None:
        """The encoder it was opened with; None without one."""
        return self._inputs.encoder

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
        """The threshold that was set, else the encoder's; None without either.

        Where none was set, `calibration` says which distance decides: it follows from `far` and the enrolled people.
        """
        own = self._store.settings().threshold
        return self._inputs.threshold if own is None else own

    def set_threshold(self, threshold: float | None, *, actor: str = "") -> None:
        """Give the gallery its own threshold (None: `far` decides). Logged, can be undone."""
        checked = checked_threshold(threshold)
        with self._store.transaction():
            changes.set_threshold(self._store, checked, actor)

    @property
    def thumbnails(self) -> bool:
        """Whether small JPEGs of images are stored, as it was opened."""
        return self._thumbnails

    @property
    def keep_sighting_vectors(self) -> bool:
        """Whether the vectors of sightings are stored, so that `find_sightings` can search them."""
        return self._store.settings().keep_sighting_vectors

    @property
    def sightings_expire_after(self) -> float | None:
        """Seconds after which `purge` erases a sighting; None: it stays as long as its identity."""
        return self._store.settings().sightings_expire_after

    @property
    def templates_per_camera(self) -> int | None:
        """Most observations of one identity and camera that `observe` stores; None: any number."""
        return self._store.settings().templates_per_camera

    def set_sightings(
        self,
        *,
        keep_vectors: bool | None = None,
        expire_after: float | Literal["never"] | None = None,
        templates_per_camera: int | Literal["any"] | None = None,
        actor: str = "",
    ) -> None:
        """Say what is stored of sightings, and how long; what is None stays as it is. Logged, can be undone.

        Args:
            keep_vectors: store the vectors of sightings from now on. False also erases those that are stored, which
                undoing does not bring back.
            expire_after: seconds after which `purge` erases a sighting, or "never". They count from its end where that
                is a date, and else from the moment when it was stored.
            templates_per_camera: most observations of one identity and camera that `observe` stores, chosen to be
                unlike each other; or "any".
            actor: who asked, for the log.

        Raises:
            GalleryError: a time or number that is not above 0.
        """
        with self._store.transaction():
            changes.set_sightings(self._store, keep_vectors, expire_after, templates_per_camera, actor)
        self._store.settle_erasure()

    # -- calibration -------------------------------------------------------------------------------------------------

    @property
    def far(self) -> float:
        """The false accept rate that is asked for."""
        return stored_far(self._store.settings()) if self._far is None else self._far

    def set_far(self, far: float, *, actor: str = "") -> None:
        """Ask for another false accept rate, above 0 and below 1, from now on. Logged, can be undone."""
        checked = checked_far(far)
        with self._store.transaction():
            changes.set_far(self._store, checked, actor)
        self._far = None

    def calibration(
        self, kind: Literal["identify", "observe"] = "identify", *, far: float | None = None
    ) -> GalleryCalibration:
        """The distance at which a false accept rate is reached in this gallery, from the people enrolled in it.

        Each enrolled identity is in turn somebody whom nobody enrolled. Identities that `observe` made take no part.

        Args:
            kind: "identify" leaves out what the probe's camera took, "observe" does not.
            far: another rate than the gallery's.
        """
        settings = self._store.settings()
        own_far = stored_far(settings) if self._far is None else self._far
        asked = own_far if far is None else checked_far(far)
        return self._calibrator.calibration(checked_kind(kind), asked, own_far=own_far, settings=settings)

    @property
    def comparison(self) -> Comparison:
        """How vectors are compared and distances judged: see `set_comparison`."""
        return comparison_of(self._store)

    def set_comparison(self, *, camera_means: bool | None = None, cohort: bool | None = None, actor: str = "") -> None:
        """Compare in another way from now on; what is None stays. Both are off by default. Logged, can be undone.

        Stored vectors stay as they are. Every distance changes with the camera means, and with either the calibration:
        the gallery calibrates itself anew, without the encoder's laws. `find_sightings` and `consolidate` subtract the
        same means; a cohort, which judges a nearest distance, has no part in them.

        Args:
            camera_means: True measures the mean of what each camera saw of the enrolled people, and subtracts it from
                all vectors before they are compared; said again, it measures anew, as the next version. Only cameras
                with 50 enrolled people or more have a mean of their own; from all others the mean of these is
                subtracted. False: vectors are compared as they are.
            cohort: judge the nearest distance relative to those of the 20 next nearest people, so that somebody who
                resembles many has to come nearer. The answer's threshold is the probe's own then. With the score "min"
                only. A gallery of fewer than 200 enrolled people judges without.
            actor: who asked, for the log.

        Raises:
            GalleryError: fewer than 200 enrolled people, or fewer than 50 of all cameras but one; for camera means also
                a threshold of the gallery's own, or Milvus.
        """
        with self._store.transaction():
            set_comparison(self._store, camera_means, cohort, actor)

    def find_duplicates(self) -> list[DuplicatePair]:
        """Pairs of enrolled identities that may be one person, the most suspicious first; `merge` or `judge_pair` them.

        A person who is enrolled twice costs most of the detection rate. Pairs that were judged are left out.
        """
        from passerby.gallery.duplicates import find_duplicates

        return find_duplicates(self._store, self._calibrator)

    def judge_pair(self, identity: str | int, other: str | int, judgement: PairJudgement, *, actor: str = "") -> None:
        """Two identities were looked at: they are "different people", or "one person" who is to keep both identities.

        The former are not listed any more; the latter count as one person in the calibration. (`merge` makes two
        identities one.) Logged, can be undone, erased with either.

        Raises:
            GalleryError: there is none of this name, both are the same identity, or an unknown judgement.
        """
        with self._store.transaction():
            judge_pair(self._store, self._record(identity), self._record(other), judgement, actor)

    def _forget_neighbours(self) -> None:
        """Let the calibration in memory know nothing of who was erased."""
        if self._made_calibrator is not None:
            self._made_calibrator.rows()

    @property
    def _calibrator(self) -> Calibrator:
        if self._made_calibrator is None:
            from passerby.gallery.calibration import Calibrator  # what it computes with is slow to import

            self._made_calibrator = Calibrator(self._store, self._inputs, guaranteed=self._guaranteed)
        return self._made_calibrator

    # -- enrol -------------------------------------------------------------------------------------------------------

    def enroll(
        self,
        name: str | int | None = None,
        images: Any = None,
        *,
        vectors: Any = None,
        camera: Camera | Sequence[Camera | None] | None = None,
        time: Moment | Sequence[Moment | None] | None = None,
        notes: str | None = None,
        consent: str | None = None,
        expires: Moment | None = None,
        tracklet: bool = False,
        skip_repeated: bool = False,
        actor: str = "",
        identity: str | int | None = None,
    ) -> tuple[int, ...]:
        """Add observations to an identity, which is made if there is none of this name.

        Args:
            name: of the identity. That of an identity that was merged into another means that other one.
            images: one image or several: paths, encoded bytes, PIL images, RGB uint8 arrays [H, W, 3], a uint8 tensor
                [n, 3, H, W]; floating-point arrays are taken as vectors.
            vectors: instead of images, one vector [D] or several [n, D]; they are brought to unit length.
            camera: of all images, or one for each.
            time: of all images, or one for each: seconds, a date, or ISO 8601 text.
            notes: free text about the identity (replaces what was there).
            consent: what consent there is, and where it is written down.
            expires: retention date, after which `purge` forgets the identity.
            tracklet: the images (or vectors) are the frames of one tracklet: their mean becomes one observation, with
                the middle frame's picture.
            skip_repeated: leave out what the identity has already: an equal vector, or the same picture.
            actor: who makes the change, for the log.
            identity: what `name` was called in 0.1; goes with version 0.3.

        Returns:
            Ids of the new observations. All are stored, or none.

        Raises:
            GalleryError: vectors of another encoder or dimension, or no image and no vector.
            ImageError: an image cannot be read.
            StorageError: it cannot be written.
        """
        own_name = identity_name(_renamed("enroll", "name", name, "identity", identity))
        given = self._inputs.read_one_of(images, vectors, "enroll: pass images or vectors, one of the two")
        observations = self._new_observations(given.pooled() if tracklet else given, camera, time)
        retention = retention_date(expires)
        with self._store.transaction():
            self._inputs.adopt(observations.dim)
            if skip_repeated:
                observations = observations.rows(new_rows(self._store, [own_name] * len(observations), observations))
            ids = enrolment.enroll(
                self._store, own_name, observations, notes=notes, consent=consent, expires=retention, actor=actor
            )
        return tuple(ids.tolist())

    def enroll_many(
        self,
        names: Sequence[str | int] | None = None,
        vectors: Any = None,
        *,
        images: Any = None,
        cameras: Camera | Sequence[Camera | None] | None = None,
        times: Moment | Sequence[Moment | None] | None = None,
        thumbnails: Sequence[bytes | None] | None = None,
        notes: str | None = None,
        consent: str | None = None,
        expires: Moment | None = None,
        skip_repeated: bool = False,
        actor: str = "",
        identities: Sequence[str | int] | None = None,
    ) -> tuple[int, ...]:
        """Add observations of many identities at once; row i belongs to the identity `names[i]`.

        All are stored, or none. It can be undone as one change.

        Args:
            names: for each observation that of its identity, which is made if there is none.
            vectors: one vector for each name [n, D], brought to unit length.
            images: instead of vectors, one image for each name, in the forms that `enroll` takes.
            cameras: one for all, or one for each.
            times: one for all, or one for each.
            thumbnails: for each a JPEG of at most 4000 bytes, or None; default: made of the images.
            notes: free text about each of the identities; see `enroll`.
            consent: of each of the identities.
            expires: retention date of each of the identities.
            skip_repeated: leave out what an identity has already: an equal vector, or the same picture.
            actor: who makes the change, for the log.
            identities: what `names` was called in 0.1; goes with version 0.3.

        Returns:
            Ids of the new observations.

        Raises:
            GalleryError: vectors of another encoder or dimension, or not as many rows as names.
            ImageError: an image cannot be read.
        """
        names = _renamed("enroll_many", "names", names, "identities", identities)
        if names is None or isinstance(names, (str, bytes)) or not hasattr(names, "__len__"):
            found = "none" if names is None else repr(names)
            raise GalleryRequestError(f"enroll_many: expected a name for each observation, found {found}")
        given = self._inputs.read_one_of(images, vectors, "enroll_many: pass images or vectors, one of the two")
        if len(names) != len(given.vectors):
            raise GalleryRequestError(f"enroll_many: {len(names)} identities for {len(given.vectors)} vectors")
        texts = [name if isinstance(name, str) else identity_name(name) for name in names]
        checked = {text: identity_name(text) for text in set(texts)}
        own = [checked[text] for text in texts]
        retention = retention_date(expires)
        observations = self._new_observations(given, cameras, times)
        if thumbnails is not None:
            observations = replace(observations, thumbnails=checked_thumbnails(thumbnails, len(own)))
        with self._store.transaction():
            self._inputs.adopt(observations.dim)
            if skip_repeated:
                rows = new_rows(self._store, own, observations)
                own, observations = [own[row] for row in rows.tolist()], observations.rows(rows)
            ids = enrolment.enroll_many(
                self._store, own, observations, notes=notes, consent=consent, expires=retention, actor=actor
            )
        return tuple(ids.tolist())

    def _new_observations(self, given: EncodedInput, cameras: Any, times: Any) -> NewObservations:
        count = len(given.vectors)
        thumbnails = given.thumbnails() if self._thumbnails else [None] * count
        return NewObservations(given.vectors, camera_names(cameras, count), times_in_seconds(times, count), thumbnails)

    def encode(self, images: Any) -> Float32:
        """Unit vectors [n, D] of one image or several, by the gallery's encoder; nothing is stored.

        Raises:
            GalleryError: opened without an encoder.
            ImageError: an image cannot be read.
        """
        return self._inputs.read(images).vectors

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
            camera: where the probe was taken; None or -1: not known.
            exclude_camera: observations not to compare with. True (default): those of the probe's own `camera`, as
                re-ID evaluation does, since another picture of the same scene proves nothing about recognition
                across cameras. False or None: compare with all. Or the name(s) of cameras.
            after: compare only with observations from this moment on; those without a time are left out.
            before: compare only with observations up to this moment; those without a time are left out.
            threshold: accept the nearest identity below this distance (strictly); default: the one that was set for
                the gallery, else where the asked false accept rate is reached.
            top: number of candidates.
            score: another score than the gallery's.

        Raises:
            GalleryError: the probe cannot be compared with this gallery's vectors.
            ImageError: the image cannot be read.
        """
        vectors = self._inputs.read(probe).vectors
        where = search_filter(camera_name(camera), exclude_camera, after, before)
        own = [camera_name(camera)]
        return self._identify(mean_vector(vectors), own, [where], [len(vectors)], threshold, top, score)[0]

    def identify_many(
        self,
        probes: Any = None,
        *,
        vectors: Any = None,
        cameras: Camera | Sequence[Camera | None] | None = None,
        exclude_camera: bool | Camera | Sequence[Camera] | None = True,
        after: Moment | None = None,
        before: Moment | None = None,
        threshold: float | None = None,
        top: int = 10,
        score: ScoreName | None = None,
        frames: Sequence[int] | None = None,
    ) -> list[Identification]:
        """`identify` for several images or vectors [n, D], each of a person of its own; faster than one by one.

        Args:
            probes: images, or vectors [n, D].
            vectors: instead of probes, vectors [n, D].
            cameras: where the probes were taken: one for all, or one for each.
            exclude_camera: see `identify`; this and all that follow hold for every probe.
            after: see `identify`.
            before: see `identify`.
            threshold: see `identify`.
            top: see `identify`.
            score: see `identify`.
            frames: how many frames each vector is the mean of; default: each is of a single image.

        Raises:
            GalleryError: as for `identify`, or not as many frames as probes.
        """
        rows = self._inputs.read_one_of(
            probes, vectors, "identify_many: pass probes or vectors, one of the two"
        ).vectors
        own = camera_names(cameras, len(rows))
        wheres = [search_filter(camera, exclude_camera, after, before) for camera in own]
        counts = np.ones(len(rows), np.int64) if frames is None else checked_ids(frames, "frames")
        if len(counts) != len(rows):
            raise GalleryRequestError(f"frames: {len(counts)} values for {len(rows)} probes")
        return self._identify(rows, own, wheres, counts.tolist(), threshold, top, score)

    def observe(
        self,
        probe: Any,
        *,
        camera: Camera | None = None,
        time: Moment | None = None,
        end: Moment | None = None,
        source: str = "",
        frames: tuple[int, int] | None = None,
        exclude_camera: bool | Camera | Sequence[Camera] | None = False,
        once_per_instant: bool = True,
        keep: bool = False,
        threshold: float | None = None,
        top: int = 10,
        score: ScoreName | None = None,
        thumbnail: bytes | None = None,
        actor: str = "",
        request: str = "",
    ) -> Sighting:
        """Identify, else enrol as a new unknown ("unknown-1", "unknown-2", ...); in one step, whoever else writes.

        Whoever it is, the sighting is stored: see `sightings`.

        Args:
            probe: an image, a vector, or a list of them (a tracklet).
            camera: where it was taken; stored with the sighting.
            time: when; stored with the sighting.
            end: last moment of a tracklet; default: `time`.
            source: film or folder that it is from.
            frames: first and last frame in the source.
            exclude_camera: as in `identify`, but False by default: a person seen twice by one camera is one person,
                and must not become two unknowns.
            once_per_instant: nobody is seen twice by one camera at one instant: whoever has a sighting by `camera` that
                overlaps [time, end] is not a candidate, unless it is the very same sighting, which is not stored
                twice. False where times are coarser than the moments between pictures of one person. A time
                that is only a day never excludes anybody.
            keep: add the vectors of a known person to the gallery, too. Off by default: every wrong acceptance would
                move the identity towards another person. The sighting is stored either way.
            threshold: see `identify`; without any threshold nothing can be observed.
            top: number of candidates in the answer.
            score: another score than the gallery's.
            thumbnail: JPEG of the sighting, at most 4000 bytes; default: made of the middle image.
            actor: who asked, for the log.
            request: id by which the caller knows this call, for the log.

        Raises:
            GalleryError: no threshold, or vectors of another encoder.
        """
        own = camera_name(camera)
        given = self._inputs.read(probe)
        observations = self._new_observations(given, own, time)
        record = passage(own, time, end, source, frames, len(observations))
        picture = (
            checked_thumbnail(thumbnail) if thumbnail is not None else observations.thumbnails[len(observations) // 2]
        )
        seen = observing.Probe(mean_vector(observations.vectors), observations, record, picture)
        apart = once_per_instant and is_instant(time)
        return self._observe(seen, exclude_camera, apart, keep, threshold, top, score, actor, request)

    def observe_tracklet(
        self,
        tracklet: Tracklet,
        *,
        exclude_camera: bool | Camera | Sequence[Camera] | None = False,
        keep: bool = False,
        threshold: float | None = None,
        top: int = 10,
        score: ScoreName | None = None,
        actor: str = "",
        request: str = "",
    ) -> Sighting:
        """`observe` for a tracklet: its camera, moments, frames, film and best picture are stored with the sighting.

        It is compared by the mean of its vectors, weighted by their quality. Whom the same camera saw during these
        moments is not a candidate.

        Args:
            tracklet: with at least one vector.
            exclude_camera: see `observe`; this and all that follow.
            keep: see `observe`.
            threshold: see `observe`.
            top: see `observe`.
            score: see `observe`.
            actor: see `observe`.
            request: see `observe`.

        Raises:
            GalleryError: no threshold, a tracklet without vectors, or vectors of another encoder.
        """
        if not isinstance(tracklet, Tracklet):
            raise GalleryRequestError(
                f"observe_tracklet: expected a passerby.Tracklet, found {type(tracklet).__name__}; `observe` takes "
                "pictures and vectors"
            )
        vector = tracklet.vector
        if vector is None:
            raise GalleryRequestError("observe_tracklet: the tracklet has no vector that says who it is")
        given = self._inputs.read_vectors(tracklet.vectors)
        picture = small_jpeg(tracklet.thumbnail) if self._thumbnails else None
        observations = self._new_observations(given, tracklet.camera, moments_of(tracklet))
        best = int(np.argmax(tracklet.crop_quality))
        observations = replace(
            observations, thumbnails=[picture if row == best else None for row in range(len(observations))]
        )
        seen = observing.Probe(vector[None], observations, record_of(tracklet), picture)
        return self._observe(seen, exclude_camera, True, keep, threshold, top, score, actor, request)

    def _observe(
        self,
        seen: observing.Probe,
        exclude_camera: Any,
        once_per_instant: bool,
        keep: bool,
        threshold: float | None,
        top: int,
        score: ScoreName | None,
        actor: str,
        request: str,
    ) -> Sighting:
        with self._store.transaction():
            settings = self._inputs.adopt(seen.observations.dim)
            return observing.observe(
                self._store,
                seen,
                lambda where: self._identify(
                    seen.vector,
                    [seen.record.camera],
                    [where],
                    [len(seen.observations)],
                    threshold,
                    top,
                    score,
                    settings,
                )[0],
                settings,
                search_filter(seen.record.camera, exclude_camera, None, None),
                store_known=keep,
                once_per_instant=once_per_instant,
                actor=actor,
                request=request,
            )

    def _identify(
        self,
        rows: Float32,
        cameras: Sequence[str | None],
        wheres: Sequence[Where],
        frames: Sequence[int],
        threshold: float | None,
        top: int,
        score: ScoreName | None,
        settings: Settings | None = None,
    ) -> list[Identification]:
        """By `settings`, as the transaction that is open found them; default: as they are now."""
        chosen = self._score if score is None else Score(score, self._score.k)
        while True:
            now = self._store.settings() if settings is None else settings
            rules = self._rules(wheres, frames, checked_threshold(threshold), chosen.name, now)
            version = now.camera_means
            means = self._store.camera_statistics(version) if version else None
            probes = rows if means is None else means.apply(rows, [camera or "" for camera in cameras])
            found = identification.identify(self._store, probes, wheres, rules, top=top, score=chosen)
            if settings is not None or self._store.means_version() == version:  # else somebody has changed it meanwhile
                return found

    def _rules(
        self,
        wheres: Sequence[Where],
        frames: Sequence[int],
        threshold: float | None,
        score: ScoreName,
        settings: Settings,
    ) -> list[VerdictRule]:
        """What decides about each probe: it depends on whether a camera is left out, and on single images or means."""
        far = stored_far(settings) if self._far is None else self._far
        kinds = [(where.exclude_cameras, count > 1) for where, count in zip(wheres, frames, strict=True)]
        rules = {
            (left_out, tracklet): self._calibrator.rule(
                "identify" if left_out else "observe",
                "tracklets" if tracklet else "images",
                score,
                call=threshold,
                far=far,
                settings=settings,
                new_camera=bool(left_out) and self._calibrator.is_new_camera(left_out),
            )
            for left_out, tracklet in set(kinds)
        }
        return [rules[kind] for kind in kinds]

    # -- read --------------------------------------------------------------------------------------------------------

    def identities(self) -> list[Identity]:
        """All identities, in the order in which they were made."""
        return identities.summaries(self._store)

    def describe(self, identity: str | int) -> Identity:
        """One identity and what is known of it.

        Raises:
            GalleryError: there is none of this name.
        """
        return self._summary(self._record(identity).id)

    def observations(self, identity: str | int | None = None) -> list[Observation]:
        """What is enrolled of an identity, or of all, in the order in which it was stored."""
        chosen = None if identity is None else [self._record(identity).id]
        columns = self._store.observations(chosen)
        names = self._store.names(set(columns.identities.tolist()))
        return [
            Observation(observation, names.get(owner, ""), camera, None if moment != moment else moment)
            for observation, owner, camera, moment in zip(
                columns.ids.tolist(), columns.identities.tolist(), columns.cameras, columns.times.tolist(), strict=True
            )
        ]

    def sightings(
        self,
        identity: str | int | None = None,
        *,
        camera: Camera | Sequence[Camera] | None = None,
        after: Moment | None = None,
        before: Moment | None = None,
        newest: int | None = None,
        newer_than: int | None = None,
    ) -> list[Sighting]:
        """Who was seen by which camera, when: every sighting that `observe` stored, in the order of time.

        Args:
            identity: of this person; default: of all.
            camera: by this camera, or these.
            after: those that end at this moment or later; those without a time are left out.
            before: those that start at this moment or earlier; those without a time are left out.
            newest: the newest so many only.
            newer_than: only those that were stored after the sighting of this id.

        Raises:
            GalleryError: there is none of this name.
        """
        chosen = None if identity is None else [self._record(identity).id]
        where = replace(sighting_filter(chosen, camera, after, before), newer_than=newer_than)
        return answer_of(self._store, self._store.sightings.select(where, newest=newest))

    def last_sighting(self) -> int:
        """Id of the sighting that was stored last; 0: there was none. For `sightings(newer_than=)`."""
        return self._store.sightings.last_id()

    def sightings_by_camera(
        self, *, after: Moment | None = None, before: Moment | None = None
    ) -> list[CameraSightings]:
        """How much each camera saw: sightings, people, new ones, first and last moment; see `sightings`."""
        return self._store.sightings.by_camera(sighting_filter(None, None, after, before))

    def find_sightings(
        self,
        probe: Any,
        *,
        camera: Camera | Sequence[Camera] | None = None,
        after: Moment | None = None,
        before: Moment | None = None,
        top: int = 50,
    ) -> FoundSightings:
        """Rank all past sightings by likeness to a probe, of known people and unknown; changes nothing.

        It needs the sightings' vectors, which a gallery stores after `set_sightings(keep_vectors=True)`. They are
        compared as `identify` compares: without camera means, where these are subtracted (`set_comparison`). A cohort
        changes verdicts only, and here there is none.

        Args:
            probe: as for `identify`, or a `Tracklet`, which says its camera. Of other probes it is not known: the mean
                of all cameras is subtracted.
            camera: only sightings by this camera, or these.
            after: see `sightings`.
            before: see `sightings`.
            top: number of sightings.

        Raises:
            GalleryError: no sighting has a vector, or the probe is of another encoder.
        """
        views, seen_by = (probe.vector, camera_name(probe.camera)) if isinstance(probe, Tracklet) else (probe, None)
        row = mean_vector(self._inputs.read(views).vectors)
        return find_sightings(self._store, row, seen_by, sighting_filter(None, camera, after, before), top=top)

    def export_sightings(
        self,
        target: str | os.PathLike[str],
        identity: str | int | None = None,
        *,
        camera: Camera | Sequence[Camera] | None = None,
        after: Moment | None = None,
        before: Moment | None = None,
    ) -> int:
        """Write `sightings` to a Parquet file (with thumbnails) or a CSV file, by its ending; how many there are.

        Raises:
            GalleryError: another ending, or none of this name.
            StorageError: the file cannot be written.
        """
        found = self.sightings(identity, camera=camera, after=after, before=before)
        from passerby.gallery.sighting_files import write_sightings  # pyarrow takes a while to import

        return write_sightings(found, Path(target), thumbnail=self.sighting_thumbnail)

    def import_sightings(self, source: str | os.PathLike[str], *, actor: str = "") -> ImportedSightings:
        """Add sightings of people who are here from a Parquet or CSV file, as `export_sightings` writes it.

        All or nothing, checked like what `observe` stores. Those that are here already are left out and counted; the
        others get new ids, and no observations or vectors. Logged, can be undone.

        Args:
            source: the file; columns may be missing, but not "identity".
            actor: who asked, for the log.

        Raises:
            GalleryError: not such a file, a row that cannot be stored, or of somebody who is not here.
        """
        from passerby.gallery.sighting_import import import_sightings

        return import_sightings(self._store, Path(source), actor)

    def sighting_thumbnail(self, sighting: int) -> bytes | None:
        """The small JPEG of a sighting; None where it was seen as a bare vector."""
        return self._store.sightings.thumbnails(checked_ids([sighting], "sighting").tolist())[0]

    def vectors(self, observations: Sequence[int]) -> Float32:
        """Unit vectors [n, D] of observations."""
        return self._store.vectors(checked_ids(observations, "observations"))

    def thumbnail(self, observation: int) -> bytes | None:
        """The small JPEG of an observation; None where it was enrolled as a bare vector."""
        return self._store.thumbnails(checked_ids([observation], "observation"))[0]

    def history(self, identity: str | int | None = None, *, limit: int | None = None) -> list[Event]:
        """The log of changes, newest first: all, or those of one identity.

        Args:
            identity: name or number; None: of all.
            limit: the newest so many only.

        Raises:
            GalleryRequestError: nobody of that name, or a limit that is no whole number of 1 or more.
        """
        if limit is not None and (not is_integer(limit) or limit < 1):
            raise GalleryRequestError(f"limit: expected a whole number of entries, at least 1, found {limit!r}")
        chosen = None if identity is None else self._record(identity).id
        events = self._store.events(chosen, limit=limit)
        names = self._store.names({event.identity for event in events if event.identity is not None})
        return [replace(event, name=names.get(event.identity or 0)) for event in events]

    def log(self, action: str, *, identity: str | int | None = None, actor: str = "", **detail: float | str) -> None:
        """Write an entry to the log (for example: who asked for whom). No names in `detail`."""
        known = None if identity is None else self._record(identity).id
        self._store.append_events([Event(0, clock.time(), action, actor, known, detail=detail)])

    def log_many(self, entries: Sequence[Note]) -> None:
        """`log` for many entries at once: all are on the disk when it returns, for the price of one, or none is.

        An identity that there is none of (any more) is left out of its entry.
        """
        names = list({entry.identity for entry in entries if entry.identity is not None})
        known = {name: record.id for name, record in identities.find_all(self._store, names).items()}
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
        new_name = None if name is None else identity_name(name)
        retention = retention_date(expires)
        with self._store.transaction():
            record = self._record(identity)
            changes.describe(self._store, record, notes, consent, retention, actor, name=new_name)
        return self._summary(record.id)

    def rename(self, identity: str | int, name: str, *, actor: str = "") -> Identity:
        """Give an identity another name (an unknown one that is named is no longer unknown)."""
        return self.update(identity, name=name, actor=actor)

    def merge(self, into: str | int, other: str | int, *, actor: str = "") -> Identity:
        """`other` is the same person as `into`, which gets its observations, its sightings and its name as an alias."""
        with self._store.transaction():
            target, source = self._record(into), self._record(other)
            changes.merge(self._store, target, source, actor)
        return self._summary(target.id)

    def split(
        self,
        identity: str | int,
        observations: Sequence[int] = (),
        *,
        sightings: Sequence[int] = (),
        name: str | None = None,
        actor: str = "",
    ) -> Identity:
        """Some observations or sightings show another person: move them to a new identity (default: a new unknown).

        Sightings whose observations are all moved go with them.
        """
        new_name = None if name is None else identity_name(name)
        with self._store.transaction():
            made = changes.split(self._store, self._record(identity), observations, sightings, new_name, actor)
        return self._summary(made)

    def consolidate(self, *, least: float = LEAST_SIMILARITY, apply: bool = False, actor: str = "") -> Consolidation:
        """Which unknowns are one person: what `observe` made twice, by the neighbours that their tracklets share.

        Nobody is joined whom one camera saw at once. Named people are left alone. It is best with the vectors of
        sightings (`set_sightings(keep_vectors=True)`): else each unknown is known by its stored observations only.

        Args:
            least: mean similarity of tracklets from which on they are of one person, above 0 up to 1.
            apply: merge them, and move sightings that were given to the wrong unknown; one `undo` takes all of it back.
                Default: only say what would be done.
            actor: who asked, for the log.

        Raises:
            GalleryError: `least` is not above 0 and up to 1.
        """
        with self._store.transaction() if apply else nullcontext():
            return consolidate(self._store, least=least, apply=apply, actor=actor)

    def thin_templates(
        self, most: int | None = None, *, identity: str | int | None = None, apply: bool = False, actor: str = ""
    ) -> ThinnedTemplates:
        """Leave few observations of each person and camera, the most unlike each other, of what is stored already.

        One `undo` brings them back, under their ids: until the person is forgotten the log keeps what was taken away.

        Args:
            most: observations of one identity and camera that stay; default: `templates_per_camera`.
            identity: of this person only; default: of all.
            apply: take the others away. Default: only say how many there are.
            actor: who asked, for the log.

        Raises:
            GalleryError: no bound, or there is nobody of this name.
        """
        from passerby.gallery.thinning import thin_templates

        with self._store.transaction() if apply else nullcontext():
            chosen = [self._record(identity)] if identity is not None else identities.standing(self._store)
            found = thin_templates(self._store, chosen, most, apply=apply, actor=actor)
        if apply:
            self._store.settle_erasure()
        return found

    def forget(self, identity: str | int, *, actor: str = "") -> Forgotten:
        """Erase an identity: vectors, thumbnails, names, notes, sightings, and what the log says of it, from all files.

        What was merged into it is erased, too. The log records that an identity was forgotten, when and by
        whom, not which. This cannot be undone. Backups and exports made before still hold the person.

        Raises:
            GalleryError: there is none of this name.
        """
        with self._store.transaction():
            record = self._record(identity)
            erased = changes.forget(self._store, [record.id], "forget", actor)
        self._forget_neighbours()
        return Forgotten((record.name,), erased.observations, self._store.settle_erasure(), erased.sightings)

    def purge(self, now: Moment | None = None, *, actor: str = "") -> Forgotten:
        """Forget every identity, and erase every sighting, whose retention has ended.

        It also finishes what erasure was still pending.
        """
        moment = clock.time() if now is None else to_seconds(now, what="now")
        with self._store.transaction():
            expired = identities.expired(self._store, moment)
            erased = changes.forget(self._store, [record.id for record in expired], "purge", actor)
            old = changes.purge_sightings(self._store, moment, actor)
        self._forget_neighbours()
        names = tuple(record.name for record in expired)
        return Forgotten(names, erased.observations, self._store.settle_erasure(), erased.sightings + old)

    def undo(self, event: int | None = None, *, actor: str = "") -> Event:
        """Take the last change back, or the change `event`, if nothing later builds upon it.

        Raises:
            GalleryError: nothing to undo, it cannot be undone (forget, purge), a later change is in the way, or a
                name that it would bring back is another identity's by now.
        """
        with self._store.transaction():
            undone = undo.undo(self._store, event, actor)
        self._store.settle_erasure()
        return undone

    # -- copies and upkeep -------------------------------------------------------------------------------------------

    def backup(self, target: str | os.PathLike[str]) -> None:
        """Write a consistent copy to a new file, while others read and write."""
        self._store.backup(Path(target))

    @staticmethod
    def restore(backup: str | os.PathLike[str], location: str | os.PathLike[str], *, replace: bool = False) -> None:
        """Bring a backup back as a gallery's file: verified first, and with no log of what was there before.

        Copying over a file that a program has open is noticed by that program, which then refuses every call.

        Args:
            backup: what `backup` wrote; it stays as it is.
            location: the gallery's file. No program may have it open.
            replace: also where there is one, whose content is lost then.

        Raises:
            GalleryError: the backup is damaged or no gallery, or there is a file and `replace` is not given.
            StorageError: the gallery is open in some program, or cannot be written.
        """
        from passerby.gallery.stores.sqlite.restore import restore

        restore(Path(backup), file_of(os.fspath(location)), replace=replace)

    @staticmethod
    def salvage(damaged: str | os.PathLike[str], location: str | os.PathLike[str]) -> Salvage:
        """Save what can still be read of a damaged file into a new gallery; the damaged one stays as it is.

        Identities, and observations whose vectors match their checksums, with cameras, times and thumbnails; not the
        log and not the sightings. What is lost is counted by reason.

        Args:
            damaged: a gallery's file that `check`, or opening, names damaged.
            location: of the new gallery.

        Raises:
            GalleryError: nothing of it can be read, or the new gallery holds something.
        """
        from passerby.gallery.stores.sqlite.salvage import salvage

        return salvage(file_of(os.fspath(damaged)), os.fspath(location))

    def check(self) -> None:
        """Read and verify everything; GalleryError names what is damaged."""
        self._store.check()

    @property
    def pending_erasure(self) -> str:
        """What of those who were forgotten is still in a file, and what finishes it; "" where nothing is."""
        return self._store.pending_erasure()

    def compact(self) -> None:
        """Give the space of forgotten observations back to the file system."""
        self._store.compact()

    def export_parquet(self, target: str | os.PathLike[str]) -> int:
        """Write identities, vectors, cameras, times and thumbnails to a Parquet file; number of observations."""
        from passerby.gallery.transfer import export_parquet

        return export_parquet(self._store, Path(target))

    def import_parquet(self, source: str | os.PathLike[str], *, actor: str = "") -> int:
        """Add what `export_parquet` wrote; identities of the same name are joined. Number of observations."""
        from passerby.gallery.transfer import import_parquet

        return import_parquet(self._store, Path(source), self._inputs.fingerprint, actor)

    def _record(self, identity: str | int) -> IdentityRecord:
        return identities.find(self._store, identity_name(identity))

    def _summary(self, identity: int) -> Identity:
        return identities.summaries(self._store, [identity])[0]


def _renamed(method: str, name: str, value: Any, old_name: str, old_value: Any) -> Any:
    """The value of an argument that may still come under its old name, with a warning."""
    if old_value is None:
        return value
    if value is not None:
        raise GalleryRequestError(f"{method}: `{old_name}` is the old name of `{name}`; give `{name}` alone")
    warnings.warn(f"{method}: `{old_name}` is called `{name}`", DeprecationWarning, stacklevel=3)
    return old_value
