"""How many threads the mathematical libraries of a process start for themselves: none.

A machine's processes share its cores, and each decides itself how many pieces of work it computes at a time. The threads of a
library (OpenBLAS, OpenMP, MKL) would come on top, one for each core, and those that wait for work spin: a product of small
matrices in one process takes a core from another one that computes. The libraries read these variables when they are loaded.
"""

from collections.abc import Mapping

ALONE = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
}


def without_library_threads(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment for a child process whose libraries compute in the thread that calls them. What it sets already, stays."""
    return {**ALONE, **environment}
