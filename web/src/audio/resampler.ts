// Changes the rate of a stream of samples: a low-pass filter by a windowed sinc, evaluated at each output sample.

const LOBES = 8; // of the sinc, on each side

/** One stream's. Equal rates pass through unchanged. */
export class Resampler {
  private history = new Float32Array(0);
  private at = 0; // of the next output sample, in input samples from the start of `history`
  private readonly step: number;
  private readonly cut: number; // of the filter, as a share of the input's rate
  private readonly reach: number; // input samples on each side

  constructor(fromHz: number, toHz: number) {
    this.step = fromHz / toHz;
    this.cut = Math.min(1, toHz / fromHz);
    this.reach = Math.ceil(LOBES / this.cut);
    this.at = this.reach;
    this.history = new Float32Array(this.reach);
  }

  feed(input: Float32Array): Float32Array {
    if (this.step === 1) return input;
    const all = new Float32Array(this.history.length + input.length);
    all.set(this.history);
    all.set(input, this.history.length);
    const output: number[] = [];
    while (this.at + this.reach < all.length) {
      output.push(this.sampleAt(all, this.at));
      this.at += this.step;
    }
    const used = Math.max(0, Math.floor(this.at) - this.reach);
    this.history = all.slice(used);
    this.at -= used;
    return Float32Array.from(output);
  }

  private sampleAt(samples: Float32Array, at: number): number {
    const middle = Math.floor(at);
    let sum = 0;
    for (let index = middle - this.reach + 1; index <= middle + this.reach; index++) {
      const distance = (at - index) * this.cut;
      sum += (samples[index] ?? 0) * sinc(distance) * window(distance / LOBES) * this.cut;
    }
    return sum;
  }
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

function window(x: number): number {
  return Math.abs(x) >= 1 ? 0 : 0.5 + 0.5 * Math.cos(Math.PI * x);
}
