import { expect, it } from 'vitest';
import { Resampler } from '../src/audio/resampler';

function tone(hz: number, rateHz: number, seconds: number): Float32Array {
  return Float32Array.from({ length: rateHz * seconds }, (_, at) => Math.sin((2 * Math.PI * hz * at) / rateHz));
}

function through(resampler: Resampler, samples: Float32Array): number[] {
  const out: number[] = [];
  for (let at = 0; at < samples.length; at += 128) out.push(...resampler.feed(samples.slice(at, at + 128)));
  return out;
}

const rms = (samples: number[]) => Math.sqrt(samples.reduce((sum, each) => sum + each * each, 0) / samples.length);

it.each([
  [48_000, 24_000],
  [44_100, 24_000],
  [24_000, 48_000],
])('keeps a voice from %i to %i Hz: its length and its level', (from, to) => {
  const out = through(new Resampler(from, to), tone(440, from, 1));
  expect(Math.abs(out.length - to)).toBeLessThan(to / 100);
  expect(rms(out.slice(1000, -1000))).toBeCloseTo(Math.SQRT1_2, 2);
});

it('removes what the lower rate can not hold', () => {
  const out = through(new Resampler(48_000, 24_000), tone(20_000, 48_000, 0.5));
  expect(rms(out.slice(1000, -1000))).toBeLessThan(0.02);
});

it('passes equal rates through', () => {
  const input = tone(440, 24_000, 0.1);
  expect(new Resampler(24_000, 24_000).feed(input)).toBe(input);
});
