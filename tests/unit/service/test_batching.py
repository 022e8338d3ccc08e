"""Images of many threads are encoded in batches, and each thread gets its own vectors."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from passerby.service.batching import BatchingEncoder
from passerby.service.errors import ServiceError


class Brightness:
    """An encoder whose vector is the mean colour; it can be paused, and records its batch sizes."""

    dim, fingerprint, threshold = 3, "brightness", 0.5
    preprocessing = SimpleNamespace(height=4, width=2)

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.entered, self.may_continue = threading.Event(), threading.Event()
        self.may_continue.set()

    def encode_batch(self, images: torch.Tensor, *, flip: bool) -> torch.Tensor:
        assert flip
        self.sizes.append(len(images))
        self.entered.set()
        assert self.may_continue.wait(200)
        if images.max() == 255:
            raise ValueError("too bright")
        return images.float().mean((2, 3))


def flat(value: int, size: tuple[int, int] = (4, 2)) -> np.ndarray:
    return np.full((*size, 3), value, np.uint8)


@pytest.fixture
def inner() -> Brightness:
    return Brightness()


def wrapped(inner: Any, **options: Any) -> BatchingEncoder:
    return BatchingEncoder(inner, **{"batch": 8, "queue": 100, "seconds": 200.0} | options)


def together(encoder: BatchingEncoder, inner: Brightness, requests: list[list[np.ndarray]]) -> list[Any]:
    """Send requests while the encoder is held by an earlier one; what each returned or raised."""
    answers: list[Any] = [None] * len(requests)
    inner.may_continue.clear()
    inner.entered.clear()

    def ask(index: int, images: list[np.ndarray]) -> None:
        try:
            answers[index] = encoder.encode(images)
        except (ServiceError, ValueError) as error:
            answers[index] = error

    first = threading.Thread(target=encoder.encode, args=([flat(1)],))
    first.start()
    assert inner.entered.wait(200)
    threads = []
    for index, images in enumerate(requests):
        waiting = encoder.waiting + len(images)
        threads.append(threading.Thread(target=ask, args=(index, images)))
        threads[-1].start()
        while encoder.waiting < waiting and threads[-1].is_alive():
            threads[-1].join(0.001)
    inner.may_continue.set()
    for thread in [first, *threads]:
        thread.join()
    return answers


def test_waiting_images_are_encoded_in_one_batch_and_returned_to_their_requests(inner: Brightness) -> None:
    encoder = wrapped(inner)
    requests = [[flat(10 * i + j) for j in range(i)] for i in (1, 3, 2, 5, 1)]
    answers = together(encoder, inner, requests)
    for images, rows in zip(requests, answers, strict=True):
        np.testing.assert_array_equal(rows, [[image[0, 0, 0]] * 3 for image in images])
    assert inner.sizes == [1, 6, 5, 1]  # 1 + 3 + 2 fit into 8, with 5 they would not; and 5 is more than 4
    encoder.close()


def test_batches_have_few_sizes(inner: Brightness) -> None:
    encoder = wrapped(inner)
    together(encoder, inner, [[flat(i)] for i in range(15)])
    assert inner.sizes == [1, 8, 4, 2, 1]
    encoder.close()


def test_a_request_larger_than_a_batch_is_encoded(inner: Brightness) -> None:
    encoder = wrapped(inner, batch=2)
    assert encoder.encode([flat(i) for i in range(7)]).shape == (7, 3)
    encoder.close()


def test_pictures_are_resized_to_the_input(inner: Brightness) -> None:
    encoder = wrapped(inner)
    np.testing.assert_array_equal(encoder.encode([flat(9, (50, 70)), flat(3, (1, 1))]), [[9] * 3, [3] * 3])
    encoder.close()


def test_a_full_queue_is_503_with_retry_after(inner: Brightness) -> None:
    encoder = wrapped(inner, queue=4)
    answers = together(encoder, inner, [[flat(1)] * 3, [flat(2)] * 2, [flat(3)]])
    assert isinstance(answers[1], ServiceError)
    assert (answers[1].status, answers[1].headers["Retry-After"]) == (503, "1")
    assert (len(answers[0]), len(answers[2])) == (3, 1)
    encoder.close()


def test_an_exception_reaches_only_the_requests_of_its_batch(inner: Brightness) -> None:
    encoder = wrapped(inner, batch=1)
    answers = together(encoder, inner, [[flat(255)], [flat(4)]])
    assert isinstance(answers[0], ValueError)
    np.testing.assert_array_equal(answers[1], [[4] * 3])
    assert encoder.alive
    encoder.close()


def test_an_exception_reaches_nobody_else_of_its_batch(inner: Brightness) -> None:
    """One picture that the network cannot take (NaN) must not fail those that came at the same moment."""
    encoder = wrapped(inner)
    answers = together(encoder, inner, [[flat(4)], [flat(255)], [flat(5)] * 2])
    assert isinstance(answers[1], ValueError)
    np.testing.assert_array_equal(answers[0], [[4] * 3])
    np.testing.assert_array_equal(answers[2], [[5] * 3] * 2)
    assert inner.sizes == [1, 4, 1, 1, 2]
    assert encoder.waiting == 0
    encoder.close()


def test_a_cancelled_request_is_not_encoded(inner: Brightness) -> None:
    encoder = wrapped(inner, seconds=0.05)
    inner.may_continue.clear()
    held = encoder.submit(encoder.prepare([flat(1)]))  # does not give up, however late its turn comes
    assert inner.entered.wait(200)
    with pytest.raises(ServiceError, match="too long"):
        encoder.encode([flat(2)])
    inner.may_continue.set()
    encoder.close()
    np.testing.assert_array_equal(held.result(), [[1] * 3])
    assert inner.sizes == [1]


def test_closing_encodes_what_waits_and_accepts_no_more(inner: Brightness) -> None:
    encoder = wrapped(inner)
    answers = together(encoder, inner, [[flat(5)]])
    encoder.close()
    np.testing.assert_array_equal(answers[0], [[5] * 3])
    assert not encoder.alive
    with pytest.raises(ServiceError, match="stopping"):
        encoder.encode([flat(1)])
