"""The demo call on the real server: the truth is told, and what it writes is whole."""

import json
from pathlib import Path

import pytest
from tests.kit.speech import CACHE
from typer.testing import CliRunner

from agentvoicebox.cli.local_server import LocalServer
from agentvoicebox.cli.main import app
from agentvoicebox.client.wav_files import read_wav

pytestmark = pytest.mark.requirement("C1")


def test_the_demo_ends_well_and_writes_the_whole_call(server: LocalServer, tmp_path: Path) -> None:
    out = tmp_path / "demo-output"
    result = CliRunner().invoke(
        app,
        ["demo", "--url", server.url, "--out", str(out)],
        env={"AVB_DATA_DIR": str(CACHE.parent), "AVB_MODELS_DIR": str(CACHE)},
    )
    assert result.exit_code == 0, result.output
    assert "out for delivery" in (out / "conversation.txt").read_text()
    samples, rate_hz = read_wav(out / "call.wav")
    summary = json.loads((out / "summary.json").read_text())
    assert abs(len(samples) / rate_hz - summary["duration_s"]) < 0.01 and samples.any(axis=0).tolist() == [True, True]
    assert summary["faults"] == summary["sums_that_fail"] == [] and summary["problems"] == []
    for turn in summary["turns"]:
        assert abs(sum(turn["parts_ms"].values()) - turn["voice_to_voice_ms"]) < 0.1
    events = [json.loads(line)["type"] for line in (out / "events.jsonl").read_text().splitlines()]
    assert "response.done" in events and "agentvoicebox.turn" in events
    assert (out / "timeline.svg").stat().st_size > 20_000
