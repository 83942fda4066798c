"""The libraries of the server's processes compute in the thread that calls them."""

import subprocess
import sys

import onnxruntime

from agentvoicebox.processes.native_threads import without_library_threads
from agentvoicebox.providers.onnx_options import NO_SPINNING, one_thread

# Threads of a process after a product that is large enough for OpenBLAS to share it out.
PRODUCT = """
import os
import numpy as np
a = np.ones((600, 600), np.float32)
(a @ a).sum()
print(len(os.listdir("/proc/self/task")))
"""


def test_a_product_of_matrices_starts_no_thread() -> None:
    environment = without_library_threads({"PATH": "/usr/bin:/bin"})
    done = subprocess.run([sys.executable, "-c", PRODUCT], env=environment, capture_output=True, text=True, check=True)
    assert int(done.stdout) == 1


def test_what_an_operator_sets_stays() -> None:
    environment = without_library_threads({"OMP_NUM_THREADS": "4", "HOME": "/"})
    assert (environment["OMP_NUM_THREADS"], environment["OPENBLAS_NUM_THREADS"]) == ("4", "1")
    assert environment["HOME"] == "/"


def test_a_model_computes_on_one_core_and_does_not_spin() -> None:
    options = one_thread(onnxruntime)
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)
    assert [options.get_session_config_entry(entry) for entry in NO_SPINNING] == ["0", "0"]
