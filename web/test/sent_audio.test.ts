import { expect, it } from 'vitest';
import { SentAudio } from '../src/realtime/sent_audio';

it('keeps the last seconds, and knows their position in the call', () => {
  const audio = new SentAudio(1_000, 2);
  for (let at = 0; at < 5; at++) audio.append(new Int16Array(500).fill(at));
  expect([audio.fromMs, audio.untilMs, audio.samples]).toEqual([500, 2500, 2500]);
  const rest = [...audio.since(1_200, 400)].map((piece) => [piece.length, piece[0]]);
  expect(rest).toEqual([
    [300, 2],
    [400, 3],
    [100, 3],
    [400, 4],
    [100, 4],
  ]);
});

it('has nothing before the first sample', () => {
  const audio = new SentAudio(24_000);
  expect([audio.fromMs, audio.untilMs, [...audio.since(0, 100)]]).toEqual([0, 0, []]);
});
