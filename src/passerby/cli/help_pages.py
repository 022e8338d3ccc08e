"""`passerby COMMAND --help` as plain, aligned text."""

from __future__ import annotations

import shutil
import textwrap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cyclopts.help import HelpEntry, HelpPanel

_LABELS = 30
_WIDEST = 118


class PlainPages:
    """Formatter for cyclopts: names on the left, what they mean on the right, no frames and no colours."""

    def __call__(self, console: Any, options: Any, panel: HelpPanel) -> None:
        """Print one group of arguments."""
        if panel.entries:
            print(f"{panel.title}:")
            print("\n".join(line for entry in panel.entries for line in _entry(entry)), end="\n\n")

    def render_usage(self, console: Any, options: Any, usage: Any) -> None:
        """Print the line that shows the order of arguments."""
        print(f"usage: {_text(usage).removeprefix('Usage:').strip()}", end="\n\n")

    def render_description(self, console: Any, options: Any, description: Any) -> None:
        """Print what the command does."""
        paragraphs = _text(description).split("\n\n")
        print("\n\n".join(textwrap.fill(" ".join(p.split()), _width()) for p in paragraphs), end="\n\n")


def _entry(entry: HelpEntry) -> list[str]:
    label = ", ".join(entry.display_labels_with_metavar)
    words = [" ".join(_text(entry.description).split())]
    if entry.choices:
        words.append(f"One of: {', '.join(entry.choices)}.")
    if entry.default is not None:
        words.append(f"[default: {entry.default}]")
    if entry.required and not entry.positional_label:
        words.append("[required]")
    lines = textwrap.wrap(" ".join(filter(None, words)), _width() - _LABELS - 4) or [""]
    if len(label) > _LABELS:
        return [f"  {label}", *(f"{'':{_LABELS + 4}}{line}" for line in lines)]
    return [f"  {label:{_LABELS}}  {lines[0]}".rstrip(), *(f"{'':{_LABELS + 4}}{line}" for line in lines[1:])]


def _text(shown: Any) -> str:
    """What rich would show, without colours."""
    inner = getattr(shown, "primary_renderable", shown)
    return str(getattr(inner, "plain", inner) or "").rstrip()


def _width() -> int:
    return min(_WIDEST, shutil.get_terminal_size((100, 24)).columns)


def shown_default(value: Any) -> str | None:
    """A default as help names it; None where the flag is simply absent."""
    if value in (None, False, "", ()):
        return None
    if value is True:
        return "yes"
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
