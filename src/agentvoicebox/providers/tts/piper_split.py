"""Cuts a Piper voice (a VITS graph) in two, so that it can speak before it has rendered the whole sentence.

The front end turns phonemes into latent frames (cheap, needs the whole sentence); the decoder turns any run of frames into
samples (expensive, but local: a sample depends on some 20 frames around it). The graph is cut between them, once per voice, and
the two halves are kept in a cache folder. The graph's two random inputs become constants, so that the same text gives the
same samples on every machine and in every attempt. Running the halves is in `piper`.
"""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from agentvoicebox.errors import BadProviderAnswer, NotInstalled, ProviderUnavailable
from agentvoicebox.providers.tts import onnx_graph
from agentvoicebox.providers.whole_file import write_whole

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
        NotInstalled: the model is missing, or protobuf is not installed.
        BadProviderAnswer: the graph is not a Piper VITS graph.
        ProviderUnavailable: the halves can't be written.
    """
    if not model.is_file():
        raise NotInstalled(f"Piper voice {model} is missing: type `agentvoicebox models pull piper-joe`")
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
        graph_model = onnx_graph.read_model(model.read_bytes())
    except ImportError as error:
        raise NotInstalled("Piper is not completely installed: type `pip install 'agentvoicebox[piper]'`") from error
    except ValueError as error:
        raise BadProviderAnswer(f"{model.name} is no ONNX file: {error}") from error
    graph = graph_model.graph
    first = [node for node in graph.node if node.op_type == "Conv" and DECODER_FIRST_WEIGHT in node.input]
    noises = [node for node in graph.node if node.op_type == "RandomNormalLike"]
    if len(first) != 1 or not noises or any(each.name == "sid" for each in graph.input):
        raise BadProviderAnswer(
            f"{model.name} is not a single-speaker Piper voice: the vocoder was not found in its graph"
        )
    channels = _latent_channels(graph, first[0])
    cut = first[0].input[0]
    _fix_noise(graph, noises, channels)
    for node in graph.node:  # both halves call the cut tensor LATENT
        node.input[:] = [LATENT if name == cut else name for name in node.input]
        node.output[:] = [LATENT if name == cut else name for name in node.output]
    latent = onnx_graph.tensor_info(LATENT, [1, channels, "frames"])
    try:
        write_whole(front, onnx_graph.extracted(graph_model, graph.input, [latent]))
        write_whole(decoder, onnx_graph.extracted(graph_model, [latent], [graph.output[0]]))
    except OSError as error:
        raise ProviderUnavailable(
            f"the voice {model.stem} can't be prepared in {front.parent}: {error.strerror}; "
            "make it a folder that the server may write, or set AVB_DATA_DIR to another"
        ) from error


def _fix_noise(graph: Any, noises: list[Any], latent_channels: int) -> None:
    """Replace random nodes: a random tensor like X becomes noise[:, :, t mod NOISE_FRAMES] for t in 0 … length of X."""
    generator = np.random.default_rng(NOISE_SEED)
    nodes = list(graph.node)
    for number, node in enumerate(noises):
        channels = 2 if "/dp/" in node.name else latent_channels
        prefix = f"fixed_noise_{number}"
        constants: dict[str, np.ndarray[Any, np.dtype[Any]]] = {
            "table": generator.standard_normal((1, channels, NOISE_FRAMES), dtype=np.float32),
            "period": np.array(NOISE_FRAMES, np.int64),
            "axis": np.array(2, np.int64),
            "zero": np.array(0, np.int64),
            "one": np.array(1, np.int64),
        }
        for name, values in constants.items():
            onnx_graph.add_constant(graph, f"{prefix}_{name}", values)
        steps = [
            ("Shape", [node.input[0]], [f"{prefix}_shape"], None),
            ("Gather", [f"{prefix}_shape", f"{prefix}_axis"], [f"{prefix}_length"], None),
            ("Range", [f"{prefix}_zero", f"{prefix}_length", f"{prefix}_one"], [f"{prefix}_frames"], None),
            ("Mod", [f"{prefix}_frames", f"{prefix}_period"], [f"{prefix}_index"], None),
            ("Gather", [f"{prefix}_table", f"{prefix}_index"], list(node.output), 2),
        ]
        place = nodes.index(node)
        nodes[place : place + 1] = [
            onnx_graph.new_node(op_type, inputs, outputs, axis=axis) for op_type, inputs, outputs, axis in steps
        ]
    del graph.node[:]
    graph.node.extend(nodes)


def _latent_channels(graph: Any, first: Any) -> int:
    """Input channels of the vocoder's first convolution (192 for Piper voices)."""
    for weight in graph.initializer:
        if weight.name == DECODER_FIRST_WEIGHT and weight.name in first.input:
            return int(weight.dims[1])
    raise BadProviderAnswer("the vocoder's first convolution has no weights of its own")
