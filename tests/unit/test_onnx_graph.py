"""A graph can be cut without the package `onnx`: each half has its own nodes and constants, and all that is not known here."""

import numpy as np
import pytest

from agentvoicebox.providers.tts.onnx_graph import add_constant, extracted, new_node, read_model, tensor_info

IR_VERSION = b"\x08\x09"  # field 1 of a model, which the module does not know
ONE_NODE = b"\x3a\x0a\x0a\x08\x22\x06Concat"  # graph { node { op_type: "Concat" } }


def test_each_half_computes_its_part_and_keeps_unknown_fields() -> None:
    model = read_model(IR_VERSION + ONE_NODE)
    del model.graph.node[:]
    model.graph.node.extend([
        new_node("Mul", ["sound", "gain"], ["loud"]),
        new_node("Gather", ["table", "loud"], ["cut"], axis=2),
        new_node("Add", ["cut", "offset"], ["result"]),
        new_node("Neg", ["sound"], ["unused"]),
    ])  # fmt: skip
    for name, value in (("gain", np.float32(2)), ("table", np.zeros((1, 3), np.float32)), ("offset", np.int64(7))):
        add_constant(model.graph, name, np.asarray(value))
    sound, cut, result = (tensor_info(name, [1, "frames"]) for name in ("sound", "cut", "result"))

    halves = extracted(model, [sound], [cut]), extracted(model, [cut], [result])
    front, rear = map(read_model, halves)
    assert [node.op_type for node in front.graph.node] == ["Mul", "Gather"]
    assert [node.op_type for node in rear.graph.node] == ["Add"]
    assert [tensor.name for tensor in front.graph.initializer] == ["gain", "table"]
    assert [tensor.raw_data for tensor in rear.graph.initializer] == [b"\x07" + bytes(7)]
    assert (front.graph.output[0].name, rear.graph.input[0].name) == ("cut", "cut")
    assert front.graph.node[1].attribute[0].i == 2
    assert all(IR_VERSION in half for half in halves)


@pytest.mark.parametrize("data", [b"", IR_VERSION, b"not a graph", b"\xff" * 40])
def test_what_is_no_model_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        read_model(data)
