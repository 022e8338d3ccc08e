"""One thread for everybody: tiny tensors gain nothing from more, and lose much where cores are shared."""

import os
import tempfile

# before torch, OpenBLAS and numba are imported; processes that tests start inherit it
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")
# where a test asks for more threads, those that wait leave the processor to others
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# what one test finds out about an engine must not decide another, nor reach the user's cache
os.environ["PASSERBY_CACHE"] = tempfile.mkdtemp(prefix="passerby-test-cache-")

from hypothesis import HealthCheck, settings  # noqa: E402  (the environment comes first)

# no test depends on how loaded the machine is
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")
