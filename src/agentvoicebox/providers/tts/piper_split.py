"""Cuts a Piper voice (a VITS graph) in two, so that it can speak before it has rendered the whole sentence.

The front end turns phonemes into latent frames (cheap, needs the whole sentence); the decoder turns any run of frames into
samples (expensive, but local: a sample depends on some 20 frames around it). The graph is cut between them, once per voice, and
the two halves are kept in a cache folder. The graph's two random inputs become constants, so that the same text gives the
same samples on every machine and in every attempt. Running the halves is in `piper`.
"""

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from agentvoicebox.errors import BadProviderAnswer, ProviderUnavailable

SPLIT_VERSION = 1  # part of the cache's name: raise it when the halves would come out differently
# the fixed noise repeats after this many frames (12 s at 86 frames/s): longer than any audible memory
NOISE_FRAMES = 1024
NOISE_SEED = 20_260
LATENT = "latent"
# name that the VITS exporter of Piper gives the vocoder's first convolution
DECODER_FIRST_WEIGHT = "dec.conv_pre.weight"


def split_voice(model: Path, cache: Path) -> tuple[Path, Path]:
    """Paths of (front end, decoder) of a voice, made on first use.

    Takes about 1 s the first time. Two processes may do it at once: each half appears by an atomic rename.

    Args:
        model: a single-speaker Piper voice, `.onnx`.
        cache: folder to keep the halves in; made when absent.

    Raises:
        ProviderUnavailable: the model is missing, or `onnx` is not installed.
        BadProviderAnswer: the graph is not a Piper VITS graph.
    """
    if not model.is_file():
        raise ProviderUnavailable(f"Piper voice {model} is missing: type `agentvoicebox models pull piper-joe`")
    stat = model.stat()
    name = hashlib.sha256(f"{SPLIT_VERSION}/{model.name}/{stat.st_size}/{_head_digest(model)}".encode()).hexdigest()[
        :16
    ]
    front = cache / f"{model.stem}-{name}-front.onnx"
    decoder = cache / f"{model.stem}-{name}-decoder.onnx"
    if not (front.is_file() and decoder.is_file()):
        _split(model, front, decoder)
    return front, decoder


def _head_digest(model: Path) -> str:
    """A cheap fingerprint: graph structure and the first weights are in the first MiB and differ between voices."""
    with model.open("rb") as file:
        return hashlib.sha256(file.read(1 << 20)).hexdigest()


def _split(model: Path, front: Path, decoder: Path) -> None:
    try:
        import onnx
        from onnx import helper, numpy_helper
        from onnx.utils import Extractor
    except ImportError as error:
        raise ProviderUnavailable(
            "Piper is not completely installed: type `pip install 'agentvoicebox[piper]'`"
        ) from error

    try:
        graph_model = onnx.load(str(model))
    except Exception as error:  # protobuf has error types of its own
        raise BadProviderAnswer(f"{model.name} is no ONNX file: {error}") from error
    graph = graph_model.graph
    first = [n for n in graph.node if n.op_type == "Conv" and DECODER_FIRST_WEIGHT in n.input]
    noises = [n for n in graph.node if n.op_type == "RandomNormalLike"]
    if len(first) != 1 or not noises or any(i.name == "sid" for i in graph.input):
        raise BadProviderAnswer(
            f"{model.name} is not a single-speaker Piper voice: the vocoder was not found in its graph"
        )

    # A random tensor like X becomes noise[:, :, t mod NOISE_FRAMES] for t in 0 … length of X.
    generator = np.random.default_rng(NOISE_SEED)
    nodes = list(graph.node)
    for number, node in enumerate(noises):
        channels = 2 if "/dp/" in node.name else _latent_channels(graph_model, first[0])
        prefix = f"fixed_noise_{number}"
        noise = generator.standard_normal((1, channels, NOISE_FRAMES), dtype=np.float32)
        constants: dict[str, np.ndarray[Any, np.dtype[Any]]] = {
            "table": noise,
            "period": np.array(NOISE_FRAMES, np.int64),
            "axis": np.array(2, np.int64),
            "zero": np.array(0, np.int64),
            "one": np.array(1, np.int64),
        }
        graph.initializer.extend(numpy_helper.from_array(v, f"{prefix}_{k}") for k, v in constants.items())
        replacement = [
            helper.make_node("Shape", [node.input[0]], [f"{prefix}_shape"]),
            helper.make_node("Gather", [f"{prefix}_shape", f"{prefix}_axis"], [f"{prefix}_length"]),
            helper.make_node("Range", [f"{prefix}_zero", f"{prefix}_length", f"{prefix}_one"], [f"{prefix}_frames"]),
            helper.make_node("Mod", [f"{prefix}_frames", f"{prefix}_period"], [f"{prefix}_index"]),
            helper.make_node("Gather", [f"{prefix}_table", f"{prefix}_index"], list(node.output), axis=2),
        ]
        place = nodes.index(node)
        nodes[place : place + 1] = replacement

    # Rename the cut tensor, so that both halves call it LATENT.
    cut = first[0].input[0]
    for node in nodes:
        node.input[:] = [LATENT if name == cut else name for name in node.input]
        node.output[:] = [LATENT if name == cut else name for name in node.output]
    del graph.node[:]
    graph.node.extend(nodes)
    channels = _latent_channels(graph_model, first[0])
    graph.value_info.append(helper.make_tensor_value_info(LATENT, onnx.TensorProto.FLOAT, [1, channels, "frames"]))

    extractor = Extractor(graph_model)
    sound = graph.output[0].name
    front.parent.mkdir(parents=True, exist_ok=True)
    _write(extractor.extract_model([i.name for i in graph.input], [LATENT]).SerializeToString(), front)
    _write(extractor.extract_model([LATENT], [sound]).SerializeToString(), decoder)


def _latent_channels(model: object, first: object) -> int:
    """Input channels of the vocoder's first convolution (192 for Piper voices)."""
    for weight in model.graph.initializer:  # type: ignore[attr-defined]
        if weight.name == DECODER_FIRST_WEIGHT and weight.name in first.input:  # type: ignore[attr-defined]
            return int(weight.dims[1])
    raise BadProviderAnswer("the vocoder's first convolution has no weights of its own")


def _write(data: bytes, path: Path) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
