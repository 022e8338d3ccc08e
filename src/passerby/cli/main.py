"""From the words of a command line to an exit code."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from passerby.cli.commands import COMMANDS, GROUPS
from passerby.cli.exit_codes import INTERRUPTED, exit_code_of, message_of
from passerby.cli.output import is_first_process
from passerby.errors import PasserbyError, UsageError, unknown_name
from passerby.version import __version__

if TYPE_CHECKING:
    from cyclopts import App

HELP = ("-h", "--help")


class StandardError(logging.Handler):
    """Writes to the `sys.stderr` of the moment: a progress bar stands in for it, and keeps lines above itself."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        print(self.format(record), file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command that the arguments name, and exit with its code."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[StandardError()])
    logging.getLogger("passerby").setLevel(logging.INFO)
    logging.captureWarnings(True)
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Run the command that the arguments name; returns the exit code."""
    try:
        return _run(list(arguments))
    except BrokenPipeError:  # whoever read our output has seen enough
        sys.stderr.close()
        return 0
    except (PasserbyError, OSError) as error:
        if is_first_process() and not getattr(error, "reported", False):
            print(f"error: {message_of(error)}", file=sys.stderr)
        return exit_code_of(error)
    except KeyboardInterrupt:
        if is_first_process():
            print("interrupted", file=sys.stderr)
        return INTERRUPTED


def _run(words: list[str]) -> int:
    if not words or words[0] in (*HELP, "help"):
        print(overview())
        return 0
    if words == ["--version"]:
        print(f"passerby {__version__}")
        return 0
    known = _top_level()
    if words[0] not in known:
        raise UsageError(unknown_name("command", words[0], known))
    if words[0] in GROUPS:
        actions = actions_of(words[0])
        if len(words) == 1:
            raise UsageError(f"passerby {words[0]}: expected an action: {', '.join(actions)}")
        if words[1] in HELP:
            print(group_overview(words[0]))
            return 0
        if words[1] not in actions:
            raise UsageError(unknown_name(f"action of `passerby {words[0]}`", words[1], actions))
    return _call(words)


def _call(words: list[str]) -> int:
    from cyclopts import CycloptsError

    from passerby.cli.usage_errors import explain

    try:
        result = build_app()(words, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        raise UsageError(explain(error)) from None
    return result if isinstance(result, int) else 0


def build_app() -> App:
    """The application: every command by its import path, so that a module is loaded when its command runs."""
    from cyclopts import App, Parameter

    from passerby.cli.help_pages import PlainPages, shown_default

    settings: dict[str, Any] = {
        "help_formatter": PlainPages(),
        "help_format": "plaintext",
        "help_flags": HELP,
        "version_flags": (),
        "result_action": "return_value",
        "suppress_keyboard_interrupt": False,
        "default_parameter": Parameter(
            consume_multiple=True, negative_iterable=(), allow_repeating=True, show_default=shown_default
        ),
    }
    app = App(name="passerby", **settings)
    groups = {name: App(name=name, help=summary) for name, (_, summary) in GROUPS.items()}
    for group in groups.values():
        app.command(group)
    for name, command in COMMANDS.items():
        above, _, action = name.rpartition(" ")
        (groups[above] if above else app).command(command.function, name=action)
    return app


def actions_of(group: str) -> list[str]:
    """The actions of a group of commands."""
    return [name.removeprefix(f"{group} ") for name in COMMANDS if name.startswith(f"{group} ")]


def _top_level() -> list[str]:
    return list(dict.fromkeys(name.partition(" ")[0] for name in COMMANDS))


def overview() -> str:
    """The text of `passerby --help`."""
    sections: dict[str, list[tuple[str, str]]] = {}
    for name in _top_level():
        section, summary = GROUPS[name] if name in GROUPS else COMMANDS[name][1:3]
        sections.setdefault(section, []).append((name, summary))
    lines = [
        "usage: passerby COMMAND [options]",
        "",
        "Person re-identification: is this the person another camera saw?",
    ]
    width = max(map(len, _top_level()))
    for section, commands in sections.items():
        lines += ["", f"{section}:", *_listed(commands, width)]
    lines += ["", "passerby COMMAND --help explains one command. Newcomers start with: passerby demo"]
    return "\n".join(lines)


def group_overview(group: str) -> str:
    """The text of `passerby GROUP --help`."""
    actions = [(action, COMMANDS[f"{group} {action}"].summary) for action in actions_of(group)]
    return "\n".join(
        [f"usage: passerby {group} ACTION [options]", "", *_listed(actions, max(len(n) for n, _ in actions))]
    )


def _listed(commands: Iterable[tuple[str, str]], width: int) -> list[str]:
    return [f"  {name:{width}}  {summary}" for name, summary in commands]
