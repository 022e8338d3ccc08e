"""What was wrong with the words of a command line, in one line."""

from __future__ import annotations

from cyclopts import CycloptsError
from cyclopts.exceptions import MissingArgumentError, UnknownOptionError, UnusedCliTokensError

from passerby.errors import unknown_name


def explain(error: CycloptsError) -> str:
    """One line: what is wrong, the nearest known name, and where help is."""
    error.verbose = False
    command = " ".join(["passerby", *(error.command_chain or ())])
    return f"{_problem(error)} (see `{command} --help`)"


def _problem(error: CycloptsError) -> str:
    if isinstance(error, UnusedCliTokensError) and error.unused_tokens:
        return f"surplus argument{'s' * (len(error.unused_tokens) > 1)}: {', '.join(map(repr, error.unused_tokens))}"
    if isinstance(error, UnknownOptionError):
        word = error.token.keyword or error.token.value
        known = {name for argument in error.argument_collection if argument.parse for name in argument.names}
        return unknown_name("option", word, {name for name in known if name.startswith("-")})
    if isinstance(error, MissingArgumentError) and error.argument is not None:
        count, _ = error.argument.token_count()
        name = error.keyword or error.argument.name
        if error.argument.tokens or error.keyword or error.tokens_so_far:
            return f"{name}: expected {'a value' if count <= 1 else f'{count} values'} behind it"
        return f"missing: {name}"
    return " ".join(str(error).split()).removesuffix(".")
