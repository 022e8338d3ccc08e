"""`python -m passerby` is the command `passerby`."""

from passerby.cli import main

main()
