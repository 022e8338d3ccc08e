"""Errors to exit codes, in one place.

0 done; 2 the caller can correct it (usage, a bad input file, an unknown name); 1 asked rightly and failed (disk,
network, a lost process, a diverged training), or a check found faults; 130 interrupted.
"""

from __future__ import annotations

from passerby.errors import PasserbyError, UsageError

FAILED = 1
CORRECTABLE = 2
INTERRUPTED = 130

EXIT_CODES: tuple[tuple[type[Exception], int], ...] = (
    (UsageError, CORRECTABLE),  # and all below it: ConfigError, DataError, WeightsError, EmbeddingError, GalleryError
    (PasserbyError, FAILED),  # TrainingError, StorageError
    (FileNotFoundError, CORRECTABLE),
    (FileExistsError, CORRECTABLE),
    (IsADirectoryError, CORRECTABLE),
    (NotADirectoryError, CORRECTABLE),
    (PermissionError, CORRECTABLE),
    (OSError, FAILED),  # disk full, network
)
"""The first class that fits decides."""


def exit_code_of(error: Exception) -> int:
    """The exit code of an error; `FAILED` for one that is not in the table."""
    return next((code for kind, code in EXIT_CODES if isinstance(error, kind)), FAILED)


def message_of(error: Exception) -> str:
    """What the error says, with the file where the system names one."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error)
