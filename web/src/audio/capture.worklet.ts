// Reads the microphone in frames of 20 ms of 24 kHz PCM. Each frame says at which frame of the context its first sample came.

import { Resampler } from './resampler';

const RATE_HZ = 24_000;
const FRAME = 480; // samples: 20 ms

interface CaptureMessage {
  readonly pcm: Int16Array;
  readonly contextTime: number; // seconds of the context's clock, of the first sample
  readonly level: number; // root mean square, 0 to 1
}

class Capture extends AudioWorkletProcessor {
  private readonly resampler = new Resampler(sampleRate, RATE_HZ);
  private frame = new Float32Array(FRAME);
  private filled = 0;

  override process(inputs: Float32Array[][]): boolean {
    const input = inputs[0]?.[0];
    const samples = this.resampler.feed(input ?? new Float32Array(128));
    samples.forEach((sample, index) => {
      this.frame[this.filled++] = sample;
      if (this.filled === FRAME) this.post(currentTime + (index + 1 - FRAME) / RATE_HZ);
    });
    return true;
  }

  private post(contextTime: number): void {
    const pcm = new Int16Array(FRAME);
    let energy = 0;
    for (let at = 0; at < FRAME; at++) {
      const sample = Math.max(-1, Math.min(1, this.frame[at] ?? 0));
      pcm[at] = Math.round(sample * 0x7fff);
      energy += sample * sample;
    }
    const message: CaptureMessage = { pcm, contextTime, level: Math.sqrt(energy / FRAME) };
    this.port.postMessage(message, [pcm.buffer]);
    this.filled = 0;
  }
}

registerProcessor('capture', Capture);
