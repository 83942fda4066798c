// Plays the agent's audio in order, and knows of each item what was played: the truth that a truncation needs.

import { Resampler } from './resampler';

const RATE_HZ = 24_000;
const REPORT_S = 0.1;

interface Piece {
  readonly itemId: string;
  readonly pcm: Float32Array; // at the context's rate
  at: number; // samples that were played
}

class Playback extends AudioWorkletProcessor {
  private queue: Piece[] = [];
  private itemId = '';
  private played = 0; // samples of `itemId`, at the context's rate
  private resampler = new Resampler(RATE_HZ, sampleRate);
  private reportedS = 0;
  private energy = 0;
  private count = 0;

  constructor() {
    super();
    this.port.onmessage = (message: MessageEvent<{ itemId: string; pcm: Int16Array } | 'flush'>) => {
      if (message.data === 'flush') this.flush();
      else this.add(message.data.itemId, message.data.pcm);
    };
  }

  override process(_inputs: Float32Array[][], outputs: Float32Array[][]): boolean {
    const output = outputs[0]?.[0];
    if (!output) return true;
    for (let at = 0; at < output.length; ) {
      const piece = this.queue[0];
      if (!piece) break;
      if (piece.itemId !== this.itemId) this.begin(piece.itemId, currentTime + at / sampleRate);
      const part = piece.pcm.subarray(piece.at, piece.at + output.length - at);
      output.set(part, at);
      this.measure(part);
      at += part.length;
      piece.at += part.length;
      this.played += part.length;
      if (piece.at >= piece.pcm.length) {
        this.queue.shift();
        if (this.queue.length === 0) this.report('idle', currentTime + at / sampleRate);
      }
    }
    if (currentTime - this.reportedS >= REPORT_S) this.report('progress', currentTime);
    return true;
  }

  private add(itemId: string, pcm: Int16Array): void {
    const samples = this.resampler.feed(Float32Array.from(pcm, (sample) => sample / 0x8000));
    this.queue.push({ itemId, pcm: samples, at: 0 });
  }

  private begin(itemId: string, contextTime: number): void {
    this.itemId = itemId;
    this.played = 0;
    this.report('started', contextTime);
  }

  /** Nothing more is played; says how much of the item was. */
  private flush(): void {
    const wasPlaying = this.queue.length > 0;
    const next = this.queue[0];
    if (next && next.itemId !== this.itemId) this.begin(next.itemId, currentTime); // none of it was played
    this.queue = [];
    this.resampler = new Resampler(RATE_HZ, sampleRate);
    this.report(wasPlaying ? 'cut' : 'idle', currentTime);
  }

  private measure(part: Float32Array): void {
    for (const sample of part) this.energy += sample * sample;
    this.count += part.length;
  }

  private report(what: 'started' | 'progress' | 'cut' | 'idle', contextTime: number): void {
    const level = this.count ? Math.sqrt(this.energy / this.count) : 0;
    if (what === 'progress') {
      this.reportedS = currentTime;
      this.energy = this.count = 0;
    }
    const playedMs = (this.played * 1000) / sampleRate;
    this.port.postMessage({ what, itemId: this.itemId, playedMs, contextTime, level });
  }
}

registerProcessor('playback', Playback);
