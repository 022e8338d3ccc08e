"""Reference pages that are made of the package itself: public names, commands, settings, HTTP."""

from __future__ import annotations

import contextlib
import inspect
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import passerby as pb
from passerby.cli import COMMANDS, run
from passerby.config import Config, recipe_names
from passerby.config.adaptation import AdaptationSettings
from passerby.config.objective import TermConfig
from passerby.config.settings_group import Settings
from passerby.config.tracking import TrackingSettings

SECTIONS = {
    "Data": ("passerby.data",),
    "Models": ("passerby.models",),
    "Training": ("passerby.training", "passerby.losses", "passerby.config"),
    "Vectors": ("passerby.embedding", "passerby.search"),
    "Evaluation": ("passerby.evaluation", "passerby.report"),
    "Gallery": ("passerby.gallery",),
    "Adaptation": ("passerby.adaptation",),
    "Film": ("passerby.tracking",),
    "Service": ("passerby.service",),
    "Experiments": ("passerby.experiments", "passerby.demo", "passerby.doctor"),
    "Errors": ("passerby.errors",),
}


def write_generated_pages(folder: Path) -> None:
    """Write the pages into a folder, and leave those alone that are as they should be."""
    folder.mkdir(exist_ok=True)
    pages = {"python.md": python_page(), "commands.md": commands_page(), "settings.md": settings_page()}
    pages["http.md"] = http_page()
    for name, text in pages.items():
        path = folder / name
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")


def python_page() -> str:
    """Every public name, with its docstring, by topic."""
    lines = ["# Python", "", "Every name of `import passerby as pb`."]
    for section, modules in SECTIONS.items():
        names = [name for name in pb.__all__ if pb._HOME[name].startswith(modules)]
        if names:
            lines += ["", f"## {section}", ""]
        for name in names:
            value = getattr(pb, name)
            lines += _directive(name, value)
    return "\n".join(lines) + "\n"


def _directive(name: str, value: Any) -> list[str]:
    if inspect.isclass(value):
        members = [] if issubclass(value, Exception) else ["   :members:"]
        return ["```{eval-rst}", f".. autoclass:: passerby.{name}", *members, "```", ""]
    if inspect.isroutine(value):
        return ["```{eval-rst}", f".. autofunction:: passerby.{name}", "```", ""]
    return [f"`pb.{name}`: a table with {', '.join(f'`{key}`' for key in value)}.", ""]


def commands_page() -> str:
    """What `passerby COMMAND --help` prints, for every command."""
    lines = ["# Commands"]
    for name in COMMANDS:
        lines += ["", f"## passerby {name}", "", "```text", _printed([*name.split(), "--help"]).strip(), "```"]
    return "\n".join(lines) + "\n"


def _printed(words: list[str]) -> str:
    out = io.StringIO()
    columns = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "100"
    try:
        with contextlib.redirect_stdout(out):
            run(words)
    finally:
        os.environ.pop("COLUMNS")
        if columns is not None:
            os.environ["COLUMNS"] = columns
    return out.getvalue()


def settings_page() -> str:
    """Every setting of a recipe with its default and meaning, and the recipes."""
    lines = ["# Settings", "", "The keys of a recipe, and so the flags of `passerby train`.", ""]
    lines += ["Recipes: " + ", ".join(f"`{name}`" for name in recipe_names()) + "."]
    groups = {name: field.annotation for name, field in Config.model_fields.items()}
    groups |= {"objective.TERM": TermConfig, "tracking": TrackingSettings, "adaptation": AdaptationSettings}
    for name, group in groups.items():
        if inspect.isclass(group) and issubclass(group, Settings):
            lines += ["", f"## [{name}]", "", inspect.getdoc(group) or "", "", *_fields(group)]
    return "\n".join(lines) + "\n"


def _fields(group: type[Settings]) -> list[str]:
    lines = ["| key | default | meaning |", "|---|---|---|"]
    for key, field in group.model_fields.items():
        default = field.get_default(call_default_factory=True)
        shown = "required" if field.is_required() else json.dumps(default, default=str)
        meaning = " ".join((field.description or "").split()).replace("|", "\\|")
        lines.append(f"| `{key}` | `{shown}` | {meaning} |")
    return lines


def http_page() -> str:
    """Every endpoint of the service."""
    lines = ["# HTTP", "", 'The endpoints of `passerby serve`; errors are `{"detail": ..., "request_id": ...}`.']
    for path, methods, text in sorted(_endpoints()):
        lines += ["", f"## {methods} {path}", "", text]
    return "\n".join(lines) + "\n"


def _endpoints() -> Iterator[tuple[str, str, str]]:
    from passerby.service.app import ROUTERS

    for router in ROUTERS:
        for route in router.routes:
            yield route.path, ", ".join(sorted(route.methods)), inspect.getdoc(route.endpoint) or ""


if __name__ == "__main__":
    write_generated_pages(Path(__file__).parent / "reference")
