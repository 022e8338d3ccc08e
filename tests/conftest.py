"""One thread for everybody: tiny tensors gain nothing from more, and lose much where cores are shared."""

import os

# before torch, OpenBLAS and numba are imported; processes that tests start inherit it
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")
