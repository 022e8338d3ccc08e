"""What an encoder is called in a message: a fingerprint alone tells nobody which file to look for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def known_name(fingerprint: str) -> str:
    """Name of the known public encoder with this fingerprint, "hub:retail-0277"; "" where none is known to have it."""
    from passerby.models.hub import hub_encoders  # here, because a gallery of bare vectors needs none of it

    return next((f"hub:{e.name}" for e in hub_encoders() if e.calibration.get("fingerprint") == fingerprint), "")


def name_of(provenance: Mapping[str, Any], fingerprint: str) -> str:
    """Name of an encoder by what is known of its origin, "" where that is nothing: a hub's, or recipe and data."""
    if "hub" in provenance:
        return f"hub:{provenance['hub']}"
    if "recipe" in provenance:
        data = provenance.get("data", {}).get("name")
        return f"a run of the recipe {provenance['recipe']}" + (f" on {data}" if data else "")
    return known_name(fingerprint)


def with_fingerprint(name: str, fingerprint: str) -> str:
    """A name, and the fingerprint beside it."""
    return f"{name} (fingerprint {fingerprint})" if name else f"the encoder with the fingerprint {fingerprint}"
