"""`passerby COMMAND --help` as plain, aligned text."""

from __future__ import annotations

import re
import shutil
import textwrap
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

if TYPE_CHECKING:
    from cyclopts.help import HelpEntry, HelpPanel

_LABELS = 30
_WIDEST = 118


class PlainPages:
    """Formatter for cyclopts: names on the left, what they mean on the right, no frames and no colours."""

    def __init__(self) -> None:
        self._usage = ""
        self._description = ""

    def __call__(self, console: Any, options: Any, panel: HelpPanel) -> None:
        """Print one group of arguments; before the first one, usage and description, which come first."""
        if panel.entries:
            if self._usage:
                print(self._with_names(panel), self._description, sep="\n\n", end="\n\n")
                self._usage = ""
            print(f"{panel.title}:")
            print("\n".join(line for entry in panel.entries for line in _entry(entry)), end="\n\n")

    def _with_names(self, panel: HelpPanel) -> str:
        """The usage with the names of arguments that may be absent, and dots behind those that may be several."""
        usage = self._usage
        positional = [entry for entry in panel.entries if entry.positional_label]
        for entry in positional:
            if entry.required and _is_list(entry):
                usage = re.sub(rf"\b{entry.positional_label}\b(?!\.)", f"{entry.positional_label}...", usage, count=1)
        names = [f"[{_label(entry)}]" for entry in positional if not entry.required]
        return usage.replace("[ARGS]", " ".join(names))

    def render_usage(self, console: Any, options: Any, usage: Any) -> None:
        """Keep the line that shows the order of arguments until their names are known."""
        self._usage = f"usage: {_text(usage).removeprefix('Usage:').strip()}"

    def render_description(self, console: Any, options: Any, description: Any) -> None:
        """Keep what the command does until the usage is printed."""
        paragraphs = _text(description).split("\n\n")
        self._description = "\n\n".join(textwrap.fill(" ".join(p.split()), _width()) for p in paragraphs)


def _label(entry: HelpEntry) -> str:
    label = ", ".join(entry.display_labels_with_metavar)
    several = _is_list(entry) and (entry.positional_label or entry.metavar) and not label.endswith("...")
    return f"{label}..." if several else label


def _is_list(entry: HelpEntry) -> bool:
    """Whether any number of values may be given."""
    kinds = [entry.type, *get_args(entry.type)]
    return any(get_origin(kind) is tuple and get_args(kind)[-1:] == (...,) for kind in kinds)


def _entry(entry: HelpEntry) -> list[str]:
    label = _label(entry)
    words = [" ".join(_text(entry.description).split())]
    if entry.choices and not _takes_others(entry):
        words.append(f"One of: {', '.join(entry.choices)}.")
    if entry.default is not None:
        words.append(f"[default: {entry.default}]")
    if entry.required and not entry.positional_label:
        words.append("[required]")
    lines = textwrap.wrap(" ".join(filter(None, words)), _width() - _LABELS - 4) or [""]
    if len(label) > _LABELS:
        return [f"  {label}", *(f"{'':{_LABELS + 4}}{line}" for line in lines)]
    return [f"  {label:{_LABELS}}  {lines[0]}".rstrip(), *(f"{'':{_LABELS + 4}}{line}" for line in lines[1:])]


def _takes_others(entry: HelpEntry) -> bool:
    """Whether values beside the choices are taken, such as a number or "never"."""
    return any(kind is not type(None) for kind in _alternatives(entry.type) if get_origin(kind) is not Literal)


def _alternatives(kind: Any) -> tuple[Any, ...]:
    """X and Y of X | Y; nothing of other types, whose choices are all there is."""
    kind = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else ()


def _text(shown: Any) -> str:
    """What rich would show, without colours."""
    inner = getattr(shown, "primary_renderable", shown)
    return str(getattr(inner, "plain", inner) or "").rstrip()


def _width() -> int:
    return min(_WIDEST, shutil.get_terminal_size((100, 24)).columns)


def shown_default(value: Any) -> str | None:
    """A default as help names it; None where the flag is simply absent."""
    if isinstance(value, bool):
        return "yes" if value else None
    if value is None or value in ("", ()):
        return None
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
