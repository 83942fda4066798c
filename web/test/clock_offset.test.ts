import { expect, it } from 'vitest';
import { ClockOffset } from '../src/audio/clock_offset';

it('takes the least delay that was seen', () => {
  const clock = new ClockOffset();
  expect(clock.toAudio(5)).toBeUndefined();
  for (const delay of [0.01, 0.002, 0.03]) clock.observe(10, 110 + delay);
  expect(clock.toAudio(111)).toBeCloseTo(10.998, 9);
});

it('follows clocks that drift apart', () => {
  const clock = new ClockOffset();
  for (let at = 0; at < 1_000; at += 0.02) clock.observe(at * 0.9995, at + 0.001);
  expect(clock.toAudio(1_000)).toBeCloseTo(999.5 - 0.001, 2);
});
