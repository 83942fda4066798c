import { expect, it } from 'vitest';
import { PARTS, percentile, TurnLedger, type TraceBody, type Turn } from '../src/call/turn_ledger';

const TRACE: TraceBody = {
  phase: 'first_output',
  response_id: 'resp_1',
  total_ms: 600,
  parts_ms: { endpointing: 500, stt: 0, queue: 10, dialogue: 5, tool: 0, tts: 80, gateway: 5 },
  marks_ms: { endpoint_decided: 500 },
  bars: [
    { part: 'stt', start_ms: 180, end_ms: 260, is_hidden: true },
    { part: 'queue', start_ms: 260, end_ms: 262, is_hidden: true },
  ],
  speculation: 'hit',
  speech_end_ms: 1_000,
};

function measured(): TurnLedger {
  const ledger = new TurnLedger();
  for (let frame = 0; frame < 100; frame++) ledger.onFrame(frame * 480, 10 + frame * 0.02);
  ledger.onAudio('resp_1', 'item_1', 11.65);
  ledger.onAudio('resp_1', 'item_1', 11.7);
  ledger.onPlayed('item_1', 11.7);
  ledger.onTrace(TRACE);
  return ledger;
}

it("measures from the caller's last voiced sample to the loudspeaker, and its parts sum to the whole", () => {
  const [turn] = measured().turns();
  expect(turn?.isMeasured).toBe(true);
  expect(turn?.wholeMs).toBeCloseTo(700, 6); // 11.7 s less 11.0 s
  expect(turn?.partsMs.network).toBeCloseTo(50, 6);
  expect(turn?.partsMs.playback).toBeCloseTo(50, 6);
  expect(PARTS.reduce((sum, part) => sum + (turn?.partsMs[part] ?? 0), 0)).toBeCloseTo(700, 6);
});

it('keeps the measure of a turn for the whole call', () => {
  const ledger = measured();
  for (let frame = 100; frame < 10_000; frame++) ledger.onFrame(frame * 480, 10 + frame * 0.02);
  expect(ledger.turns()[0]).toMatchObject({ isMeasured: true });
});

it('shows the work that nobody waited for, without queues', () => {
  expect(measured().turns()[0]?.hidden).toEqual([{ part: 'stt', startMs: 180, endMs: 260 }]);
});

it('is of the server alone when the browser heard nothing', () => {
  const ledger = new TurnLedger();
  ledger.onTrace(TRACE);
  expect(ledger.turns()[0]).toMatchObject({ isMeasured: false, wholeMs: 600 });
});

it('counts a typed turn from the request', () => {
  const ledger = new TurnLedger();
  ledger.onRequest(5);
  ledger.onResponse('resp_1');
  ledger.onAudio('resp_1', 'item_1', 5.62);
  ledger.onPlayed('item_1', 5.63);
  ledger.onTrace({ ...TRACE, speech_end_ms: null });
  expect(ledger.turns()[0]?.wholeMs).toBeCloseTo(630, 6);
  expect(ledger.turns()[0]?.isTyped).toBe(true);
});

it('takes no older request for a response that nobody asked for', () => {
  const ledger = new TurnLedger();
  ledger.onRequest(5);
  ledger.onResponse('resp_1');
  ledger.onResponse('resp_2');
  ledger.onAudio('resp_2', 'item_2', 60);
  ledger.onPlayed('item_2', 60.1);
  ledger.onTrace({ ...TRACE, response_id: 'resp_2', speech_end_ms: null });
  expect(ledger.turns()[0]).toMatchObject({ isMeasured: false, wholeMs: 600 });
});

it('is corrected by the second account of the same response', () => {
  const ledger = measured();
  ledger.onTrace({ ...TRACE, phase: 'done' });
  expect(ledger.turns()).toHaveLength(1);
});

it('takes percentiles by the nearest rank', () => {
  const turns = [30, 10, 20, 40].map((wholeMs) => ({ wholeMs }) as Turn);
  expect([percentile(turns, 0.5), percentile(turns, 0.95), percentile([], 0.5)]).toEqual([20, 40, null]);
});
