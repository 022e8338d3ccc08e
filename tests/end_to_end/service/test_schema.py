"""What the service says of itself (OpenAPI) against what it does, by requests that schemathesis makes up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from tests.end_to_end.service.harness import KEYS, bearer, person

from passerby.gallery.gallery import Gallery
from passerby.models.encoder import Encoder
from passerby.service.app import create_app
from passerby.service.limits import Limits

schemathesis = pytest.importorskip("schemathesis", reason="requests are made up by schemathesis (dev dependency)")
pytestmark = pytest.mark.slow
EXAMPLES = 6


@pytest.fixture(scope="module")
def app(encoder: Encoder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    place: Path = tmp_path_factory.mktemp("schema") / "people.gallery"
    with Gallery.open(place, encoder) as gallery:
        gallery.enroll("ada", person(1), camera="door", time="2026-05-01")
    made = create_app(place, encoder, keys=KEYS, limits=Limits(rate=0))
    yield made
    made.state.context.close()


def test_answers_are_what_the_description_promises(app: Any) -> None:
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    checks = schemathesis.checks
    promised = [
        checks.not_a_server_error,
        *checks.CHECKS.get_by_names(
            ["status_code_conformance", "content_type_conformance", "response_schema_conformance"]
        ),
    ]
    tried = []
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.path in {"/ready"}:
            continue  # 503 is an answer there, not a fault
        tried.append(operation.path)
        for mode in (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE):
            ask(operation, mode, promised)
    assert "/v1/identify" in tried
    assert "/metrics" in tried


def ask(operation: Any, mode: Any, promised: list[Any]) -> None:
    @seed(1)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def send(case: Any) -> None:
        case.call_and_validate(checks=promised, headers=bearer("admin-token"))

    with suppress(Unsatisfiable):  # nothing to get wrong in a request that has no parameters
        send()
