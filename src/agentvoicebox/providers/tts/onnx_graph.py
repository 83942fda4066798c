"""ONNX files without the package `onnx`: the few messages that cutting a graph needs, read and written by protobuf.

Fields that are not listed here are kept as they are, and written again. Numbers of fields are those of ONNX's own schema
(`onnx.proto`); they never change.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

FLOAT, INT64 = 1, 7  # TensorProto.DataType
_INT_ATTRIBUTE = 2  # AttributeProto.AttributeType
# message: field: (number, type); a type with * is repeated
_SCHEMA: dict[str, dict[str, tuple[int, str]]] = {
    "Attribute": {"name": (1, "string"), "i": (3, "int64"), "type": (20, "int32")},
    "Node": {
        "input": (1, "string*"),
        "output": (2, "string*"),
        "name": (3, "string"),
        "op_type": (4, "string"),
        "attribute": (5, "Attribute*"),
    },
    "Tensor": {
        "dims": (1, "int64*"),
        "data_type": (2, "int32"),
        "name": (8, "string"),
        "raw_data": (9, "bytes"),
    },
    "Dimension": {"dim_value": (1, "int64"), "dim_param": (2, "string")},
    "Shape": {"dim": (1, "Dimension*")},
    "TensorType": {"elem_type": (1, "int32"), "shape": (2, "Shape")},
    "Type": {"tensor_type": (1, "TensorType")},
    "ValueInfo": {"name": (1, "string"), "type": (2, "Type")},
    "Graph": {
        "node": (1, "Node*"),
        "initializer": (5, "Tensor*"),
        "input": (11, "ValueInfo*"),
        "output": (12, "ValueInfo*"),
        "value_info": (13, "ValueInfo*"),
    },
    "Model": {"graph": (7, "Graph")},
}
_PACKAGE = "agentvoicebox.onnx"


def read_model(data: bytes) -> Any:
    """A model: `graph.node`, `graph.initializer`, `graph.input`, `graph.output`, as ONNX names them.

    Raises:
        ImportError: protobuf is not installed.
        ValueError: the bytes are no ONNX model.
    """
    from google.protobuf.message import DecodeError

    model = _classes()["Model"]()
    try:
        model.ParseFromString(data)
    except DecodeError as error:
        raise ValueError("the bytes are no protobuf message") from error
    if not model.graph.node:
        raise ValueError("there is no graph in it")
    return model


def new_node(op_type: str, inputs: Sequence[str], outputs: Sequence[str], *, axis: int | None = None) -> Any:
    """A node that belongs to no graph yet."""
    made = _classes()["Node"](op_type=op_type, input=inputs, output=outputs)
    if axis is not None:
        made.attribute.add(name="axis", i=axis, type=_INT_ATTRIBUTE)
    return made


def add_constant(graph: Any, name: str, values: np.ndarray[Any, Any]) -> None:
    """Add a tensor of float32 or int64."""
    data_type = {"float32": FLOAT, "int64": INT64}[values.dtype.name]
    raw = np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<")).tobytes()
    graph.initializer.add(name=name, dims=values.shape, data_type=data_type, raw_data=raw)


def tensor_info(name: str, shape: Sequence[int | str]) -> Any:
    """Name and shape of a float32 input or output; names in the shape stand for lengths that vary."""
    info = _classes()["ValueInfo"](name=name)
    info.type.tensor_type.elem_type = FLOAT
    for size in shape:
        dimension = info.type.tensor_type.shape.dim.add()
        if isinstance(size, int):
            dimension.dim_value = size
        else:
            dimension.dim_param = size
    return info


def extracted(model: Any, inputs: Iterable[Any], outputs: Iterable[Any]) -> bytes:
    """The part of a model that computes `outputs` from `inputs` (value infos), as a file."""
    inputs, outputs = list(inputs), list(outputs)
    maker = {name: each for each in model.graph.node for name in each.output if name}
    given = {each.name for each in inputs}
    waiting = [each.name for each in outputs]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        if name not in given and name in maker:
            waiting.extend(each for each in maker[name].input if each)
    part = type(model)()
    part.CopyFrom(model)
    graph = part.graph
    for field in ("node", "initializer", "input", "output", "value_info"):
        graph.ClearField(field)
    # in the model's order, which is topological
    graph.node.extend(each for each in model.graph.node if any(n in seen - given for n in each.output))
    graph.initializer.extend(each for each in model.graph.initializer if each.name in seen)
    graph.input.extend(inputs)
    graph.output.extend(outputs)
    return bytes(part.SerializeToString(deterministic=True))


_made: dict[str, Any] = {}


def _classes() -> dict[str, Any]:
    """The message classes, made from `_SCHEMA` on first use. Raises ImportError: protobuf is not installed."""
    if _made:
        return _made
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name=f"{_PACKAGE}.proto", package=_PACKAGE, syntax="proto2")
    for message, fields in _SCHEMA.items():
        described = file.message_type.add(name=message)
        for name, (number, kind) in fields.items():
            field = described.field.add(name=name, number=number)
            field.label = kinds.LABEL_REPEATED if kind.endswith("*") else kinds.LABEL_OPTIONAL
            kind = kind.rstrip("*")
            if kind in _SCHEMA:
                field.type, field.type_name = kinds.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
            else:
                field.type = getattr(kinds, f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    for message in _SCHEMA:
        _made[message] = message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{message}"))
    return _made
