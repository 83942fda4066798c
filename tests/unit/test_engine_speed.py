"""The speed of engines is measured once for a processor and its models, by processor time, and kept."""

from pathlib import Path

import msgspec
import pytest

from agentvoicebox.processes.cores import slots, usable_cores
from agentvoicebox.providers import engine_speed
from agentvoicebox.providers.catalogue import ModelCatalogue
from agentvoicebox.providers.engine_speed import FILE, EngineSpeed, MachineSpeed, known_speed, least_ms, measure
from agentvoicebox.providers.processor import Processor, read_processor, this_processor

CPUINFO = """processor : 0
cpu family : 25
model : 1
model name : AMD EPYC
flags : fpu avx2 avx512f avx512_vnni

processor : 1
flags : fpu
"""


def test_a_processor_is_read_with_the_flags_that_matter() -> None:
    processor = read_processor(CPUINFO, 2)
    assert processor == Processor("AMD EPYC (family 25, model 1)", 2, ("avx2", "avx512f", "avx512_vnni"))
    assert processor.is_fast
    slow = read_processor(CPUINFO.replace("avx512f avx512_vnni", ""), 1)
    assert str(slow) == "AMD EPYC (family 25, model 1), 1 core, AVX2; no AVX-512 or VNNI"
    assert read_processor("", 4).cores == 4


@pytest.mark.parametrize(
    ("quota", "most"), [("max 100000", 10_000), ("150000 100000", 1), ("50000 100000", 1), ("no", 10_000)]
)
def test_a_containers_quota_bounds_the_cores(quota: str, most: int, tmp_path: Path) -> None:
    file = tmp_path / "cpu.max"
    file.write_text(quota)
    assert 1 <= usable_cores(file) <= most
    assert usable_cores(tmp_path / "absent") == usable_cores(file) or most == 1


def test_a_worker_computes_on_each_core_unless_told_otherwise() -> None:
    assert slots(7) == 7
    assert slots(None) == min(16, usable_cores())


def test_the_least_of_some_runs_counts_and_the_first_does_not() -> None:
    readings = iter([0.0, 0.5, 1.0, 1.2, 2.0, 2.9])
    runs: list[int] = []
    assert least_ms(lambda: runs.append(1), clock=lambda: next(readings)) == 200.0
    assert len(runs) == 4


def kept(folder: Path, **changes: object) -> None:
    engines = {"stt/fast": EngineSpeed(90.0)}
    speed = MachineSpeed(this_processor(), {name: engine_speed.identity(name) for name in engines}, engines)
    (folder / FILE).write_bytes(msgspec.json.encode(msgspec.structs.replace(speed, **changes)))


def test_a_kept_measurement_counts_for_this_processor_and_these_models_alone(tmp_path: Path) -> None:
    assert known_speed(str(tmp_path), ["stt/fast"]) is None
    kept(tmp_path)
    known = known_speed(str(tmp_path), ["stt/fast"])
    assert known is not None and known.engines["stt/fast"].first_ms == 90.0
    assert known_speed(str(tmp_path), ["stt/fast", "tts/piper"]) is None
    kept(tmp_path, processor=msgspec.structs.replace(this_processor(), cores=97))
    assert known_speed(str(tmp_path), ["stt/fast"]) is None
    kept(tmp_path, of={"stt/fast": "another model"})
    assert known_speed(str(tmp_path), ["stt/fast"]) is None


@pytest.mark.parametrize("damaged", [b"", b"{", b"\xff\xfe", b'{"processor": 1}', b"[" * 100_000])
def test_a_damaged_measurement_is_measured_again(damaged: bytes, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(damaged)
    assert known_speed(str(tmp_path), ["stt/fast"]) is None


def test_an_engine_that_is_not_there_is_left_out(tmp_path: Path) -> None:
    speed = measure(ModelCatalogue(cache_dir=tmp_path), ["stt/scripted", "tts/scripted", "tts/unknown"])
    assert set(speed.engines) == {"stt/scripted", "tts/scripted"}
    assert set(speed.of) == {"stt/scripted", "tts/scripted", "tts/unknown"}
