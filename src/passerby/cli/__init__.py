"""The command line: one command is one public function of the same name.

Results go to stdout (`--json` for machines), log and progress to stderr. Exit codes: 0 done; 2 the caller can correct
it; 1 asked rightly and failed, or a check found faults; 130 interrupted. `commands.COMMANDS` is the table of commands.
"""

from __future__ import annotations

from passerby.cli.commands import COMMANDS, GROUPS
from passerby.cli.main import main, run

__all__ = ["COMMANDS", "GROUPS", "main", "run"]
