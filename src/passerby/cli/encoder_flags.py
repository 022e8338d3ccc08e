"""Flags that say how to read a model file that does not describe itself: of every command that takes an encoder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from cyclopts import Parameter

from passerby.cli.input_files import check_there
from passerby.cli.setting_flags import flags_of, given
from passerby.config.encoder import EncoderSettings

if TYPE_CHECKING:
    from passerby.models.sources import EncoderSource

EncoderFlags: Any = flags_of(EncoderSettings, title="model file without a description")

Reading: TypeAlias = Annotated[EncoderFlags, Parameter(name="*", accepts_keys=True, show_default=False)]


def source_of(encoder: Path, flags: Any) -> EncoderSource:
    """The encoder that a command line names; it is a path, and `load_encoder` reads it.

    It is looked for at once, since everything that reads encoders takes seconds to import.

    Args:
        encoder: as typed.
        flags: of `EncoderFlags`.

    Raises:
        UsageError: nothing is there.
        ConfigError: a value that does not fit.
    """
    from passerby.models.sources import encoder_source, is_hub_name

    if not is_hub_name(encoder):
        check_there("a run, an encoder or a model file", encoder)
    return encoder_source(encoder, given(flags))
