"""How ONNX Runtime computes here: in the thread that calls it, without threads that spin while they wait."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onnxruntime import SessionOptions

NO_SPINNING = ("session.intra_op.allow_spinning", "session.inter_op.allow_spinning")


def one_thread(runtime: Any) -> "SessionOptions":
    """Options of a session that computes on one core, the caller's.

    Args:
        runtime: the module `onnxruntime`, which is loaded late and only where it is needed.
    """
    options: SessionOptions = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    for entry in NO_SPINNING:  # with one thread there is no pool; this holds if a runtime should make one all the same
        options.add_session_config_entry(entry, "0")
    return options
