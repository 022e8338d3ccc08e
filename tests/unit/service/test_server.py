"""Where a service listens."""

from __future__ import annotations

import pytest

from passerby.errors import ConfigError
from passerby.service.server import listen


@pytest.mark.parametrize("host", ["", " "])
def test_no_host_is_not_all_of_them(host: str) -> None:
    """A variable of a shell that is not set must not open the service to the network."""
    with pytest.raises(ConfigError, match=r"host: expected an address.*0\.0\.0\.0"):
        listen(host, 0)
