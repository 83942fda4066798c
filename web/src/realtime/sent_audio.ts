// The caller's audio of the last seconds, so that it can be sent again after the connection broke.

interface Piece {
  readonly start: number; // position in the call, samples
  readonly pcm: Int16Array;
}

/** Keeps the last `keepS` seconds of what was appended. Positions count from the first sample ever appended. */
export class SentAudio {
  private pieces: Piece[] = [];
  private end = 0;

  constructor(
    readonly rateHz: number,
    private readonly keepS = 10,
  ) {}

  /** Samples appended so far. */
  get samples(): number {
    return this.end;
  }

  /** The position just after the last sample. */
  get untilMs(): number {
    return Math.floor((this.end * 1000) / this.rateHz);
  }

  /** The position of the first sample that is kept. */
  get fromMs(): number {
    return Math.ceil(((this.pieces[0]?.start ?? this.end) * 1000) / this.rateHz);
  }

  append(pcm: Int16Array): void {
    this.pieces.push({ start: this.end, pcm });
    this.end += pcm.length;
    const oldest = this.end - this.keepS * this.rateHz;
    while (this.pieces[0] && this.pieces[0].start + this.pieces[0].pcm.length <= oldest) this.pieces.shift();
  }

  /** What is kept from `ms` on, in pieces of at most `most` samples. */
  *since(ms: number, most: number): Generator<Int16Array> {
    const from = Math.floor((ms * this.rateHz) / 1000);
    for (const { start, pcm } of this.pieces) {
      const rest = pcm.subarray(Math.max(0, from - start));
      for (let at = 0; at < rest.length; at += most) yield rest.subarray(at, at + most);
    }
  }
}
