"""Interactions on disk: a file a day, private, torn lines cost themselves alone, old days are packed away, no call is touched."""

import gzip
import os
import stat
import threading
from pathlib import Path

import msgspec
import pytest
from tests.kit.conversation import Talk
from tests.kit.kits import DELIVERY, without_words
from tests.kit.recorded import random_script, scenario, simulated, taped

from agentvoicebox.clock import ManualClock
from agentvoicebox.engine import inputs as i
from agentvoicebox.errors import NewerFormat
from agentvoicebox.evals.replay import replay_effects
from agentvoicebox.interactions.day_files import DayFiles, read
from agentvoicebox.interactions.from_log import interaction_of_log
from agentvoicebox.interactions.interaction import FORMAT, Interaction, decode, encode
from agentvoicebox.interactions.recorder import InteractionRecorder
from agentvoicebox.interactions.tape import Tape
from agentvoicebox.wire import client_events as ce

pytestmark = pytest.mark.requirement("B3.4-3.5")

DAY_S = 86_400.0
LINE = Interaction(timestamp="", began_s=0.0, correlation_id="c", call_id="call", channel="rest")


def named(call_id: str) -> bytes:
    return encode(Interaction(timestamp="", began_s=0.0, correlation_id="", call_id=call_id, channel="rest"))


def ids(path: Path) -> list[str]:
    return [each.call_id for each in read(path)]


def test_each_utc_day_has_a_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    files = DayFiles(tmp_path / "new" / "folder")
    paths = [files.append(named(str(at)), at) for at in (0.0, DAY_S - 1, DAY_S)]
    assert [path.name for path in paths] == ["interactions-1970-01-01.jsonl"] * 2 + ["interactions-1970-01-02.jsonl"]
    assert ids(tmp_path) == ["0.0", "86399.0", "86400.0"]
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in paths)
    assert stat.S_IMODE(paths[0].parent.stat().st_mode) == 0o700


def test_a_torn_line_is_skipped_with_a_warning_and_nothing_after_it_is_lost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = DayFiles(tmp_path)
    path = files.append(named("first"), 0.0)
    with path.open("ab") as file:
        file.write(named("torn")[:40])  # the process died here
    files.append(named("second"), 0.0)
    assert ids(path) == ["first", "second"]
    assert "a line of interactions was skipped" in capsys.readouterr().out
    path.write_bytes(path.read_bytes()[:-20])
    assert ids(path) == ["first"]


def newer(call_id: str) -> bytes:
    """A line of the next format, with an input that this version does not know."""
    fields = msgspec.json.decode(named(call_id)) | {"format": FORMAT + 1, "log": [[0.0, {"type": "thought"}]]}
    return msgspec.json.encode(fields)


def test_lines_of_a_newer_version_are_named_and_the_rest_of_the_file_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(NewerFormat, match=rf"newer version \(format {FORMAT + 1}\).* up to {FORMAT}"):
        decode(newer("later"))
    files = DayFiles(tmp_path)
    for line in (named("first"), newer("later"), newer("much later"), named("second")):
        path = files.append(line, 0.0)
    assert ids(path) == ["first", "second"]
    told = capsys.readouterr().out
    assert told.count("written by a newer version") == 1
    assert f"lines=2 newest_read={FORMAT}" in told


def test_each_line_states_its_format_and_one_without_is_format_0() -> None:
    line = encode(LINE)
    assert msgspec.json.decode(line)["format"] == FORMAT
    assert decode(line) == LINE
    without = msgspec.json.encode({k: v for k, v in msgspec.json.decode(line).items() if k != "format"})
    assert decode(without) == msgspec.structs.replace(LINE, format=0)


def test_days_are_packed_away_after_so_many_and_can_still_be_read(tmp_path: Path) -> None:
    clock = ManualClock(wall_s=0.0)
    files = DayFiles(tmp_path, keep_days=30)
    for day in range(40):
        files.append(named(f"day {day}"), clock.wall_s() + day * DAY_S)
    packed = files.archive(39 * DAY_S)
    assert [path.name for path in packed] == [f"interactions-1970-01-0{day}.jsonl.gz" for day in range(1, 10)]
    assert len(files.open_days()) == 31, "thirty days before today, and today"
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in packed)
    assert ids(tmp_path) == [f"day {day}" for day in range(40)]
    assert files.archive(39 * DAY_S) == []


def test_a_crash_while_packing_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    files = DayFiles(tmp_path, keep_days=1)
    path = files.append(named("kept"), 0.0)
    data = path.read_bytes()
    files.archive(9 * DAY_S)
    path.write_bytes(data + named("late") + b"\n")  # as if it had died before it removed the file
    (tmp_path / "archive" / "interactions-1970-01-01.jsonl.part").write_bytes(b"half")
    (packed,) = files.archive(9 * DAY_S)
    assert ids(packed) == ["kept", "late"]
    assert gzip.decompress(packed.read_bytes()).count(b"kept") == 2


def test_many_writers_share_a_day_without_tearing_a_line(tmp_path: Path) -> None:
    def write(number: int) -> None:
        files = DayFiles(tmp_path)
        for count in range(50):
            files.append(named(f"{number}-{count}-" + "x" * 5_000), 0.0)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids(tmp_path)) == 200


def test_a_recording_keeps_days_by_its_clock(tmp_path: Path) -> None:
    clock = ManualClock(wall_s=0.0)
    for _ in range(3):
        recording = InteractionRecorder(tmp_path, keep_days=1, clock=clock)
        recording.start()
        recording.put(LINE)
        recording.close()
        clock.advance(2 * DAY_S)
    names = [path.name for path in sorted(tmp_path.rglob("*.jsonl*"))]
    assert names == [
        "interactions-1970-01-01.jsonl.gz", "interactions-1970-01-03.jsonl.gz", "interactions-1970-01-05.jsonl",
    ]  # fmt: skip


def test_what_does_not_fit_is_counted_and_never_waited_for(tmp_path: Path) -> None:
    recording = InteractionRecorder(tmp_path, queue_size=2)  # not started: nothing leaves
    for _ in range(5):
        recording.put(LINE)
    assert recording.dropped == 3
    recording.start()
    recording.close()
    assert recording.written == 2 and len(ids(tmp_path)) == 2


def test_a_disk_that_fails_and_a_tape_without_a_beginning_touch_nobody(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    recording = InteractionRecorder(tmp_path / "file")
    recording.put(LINE)
    recording.start()
    recording.close()
    headless = InteractionRecorder(tmp_path / "good")
    tape = taped(0, random_script(1))
    orphan = Tape()
    orphan.log, orphan.digests = tape.log[5:], tape.digests[5 * 8 :]
    headless.put(orphan)
    headless.put(tape)
    headless.start()
    headless.close()
    assert (recording.failed, recording.written) == (1, 0)
    assert (headless.failed, headless.written) == (1, 1)


def test_a_call_that_can_not_be_digested_is_not_ended_by_its_recording(monkeypatch: pytest.MonkeyPatch) -> None:
    tape = Tape()
    tape.record(0.0, object(), [object()])  # type: ignore[arg-type, list-item]
    assert not tape.is_whole and tape.log == []


def test_a_call_that_did_not_replay_when_it_was_written_is_marked(tmp_path: Path) -> None:
    tape = taped(0, random_script(2))
    tape.digests[0] ^= 1
    interaction = InteractionRecorder(tmp_path, keeps_words=True).finished(tape)
    assert interaction.invariant_broken == "same log, same effects"
    assert replay_effects(interaction).verdict == "different"  # type: ignore[union-attr]


def test_by_default_no_word_and_no_whole_number_is_kept() -> None:
    interaction = simulated(scenario("happy"))
    known = encode(interaction).decode()
    hidden = without_words(interaction)
    line = encode(hidden).decode()
    for word in (
        "PKG004",
        "out for delivery",
        "zero zero four",
        "where my parcel",
        "Goodbye",
        "tracking number",
        "Leeds",
    ):
        assert word in known, f"{word} was never there"
        assert word not in line
    assert '"**G004"' not in line and "**G004" in line
    assert hidden.tool_calls[-1].code == "FOUND" and "out_for_delivery" in hidden.tool_calls[-1].output
    assert [each.words for each in hidden.transcript] == [each.words for each in interaction.transcript]
    assert hidden.judgement == interaction.judgement
    assert replay_effects(hidden).verdict == "same"  # type: ignore[union-attr]


def test_digests_of_a_recording_without_words_confirm_no_guess_of_them() -> None:
    interaction = simulated(scenario("happy"))
    assert not set(chunks(without_words(interaction).digests)) & set(chunks(interaction.digests)) - empty_steps(
        interaction
    )


def chunks(digests: str) -> list[str]:
    return [digests[at : at + 16] for at in range(0, len(digests), 16)]


def empty_steps(interaction: Interaction) -> set[str]:
    """Digests that occur for steps without any text are equal in both forms."""
    from agentvoicebox.interactions.rerun import digest, masked_digest, rerun

    return {
        digest(step.effects).hex()
        for step in rerun(interaction.log)
        if digest(step.effects) == masked_digest(step.effects)
    }


def test_the_file_is_open_to_nobody_even_under_a_generous_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        path = DayFiles(tmp_path / "open").append(named("x"), 0.0)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "pieces",
    [
        ("I met M", "r. Brown. He said so, and", " left. ", "A. B. C. are letters, e.", "g. these. Done."),
        ("Vs. is not vs. or St. Nobody knows; Sir", ". Yes."),
        ("Ünïted. É. Ja. No. 4 is 3.5 kg… Right? ", "Ok."),
    ],
)
def test_a_masked_log_is_cut_into_the_same_segments_wherever_the_model_paused(pieces: tuple[str, ...]) -> None:
    talk, tape = Talk(turn_detection=None), Tape()
    tape.record(0.0, talk.opened, talk.effects)
    talk.client(ce.ResponseCreate())
    for piece in pieces:
        talk.give(i.TextDelta(talk.open_job("generate").job_id, piece))
    talk.give(i.Generated(talk.open_job("generate").job_id))
    for now_s, given in talk.inputs:
        tape.log.append((now_s, given))
    told = interaction_of_log(tape.log)
    hidden = without_words(told.interaction)
    assert hidden.digests == told.masked_digests
    assert replay_effects(hidden).verdict == "same"  # type: ignore[union-attr]
    assert "Brown" not in encode(hidden).decode() and "Nobody" not in encode(hidden).decode()


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("PKG004", "**G004"),
        ("1Z 999 AA1 0123 4567 84", "**************6784"),
        ("+1 415 555-0123", "*******0123"),
        ("call 4 ANNA", "xxxx 0 XXXX"),
        ("it is PKG004, thanks", "xx xx XXX000, xxxxxx"),
        ("Wilhelmina", "Xxxxxxxxxx"),
    ],
)
def test_of_a_number_the_last_four_are_kept_and_of_a_sentence_none(text: str, kept: str) -> None:
    assert DELIVERY.identifier_mask.text(text) == kept
