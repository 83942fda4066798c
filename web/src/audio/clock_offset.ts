// The page's clock on the audio clock. The two drift apart, and each observation comes late by some unknown delay: the least of
// the last seconds is the best that is known.

const KEPT = 100; // observations: two seconds of frames

export class ClockOffset {
  private readonly recent: number[] = [];

  /** Something that happened at `audioS` was noticed at `pageS`. Seconds. */
  observe(audioS: number, pageS: number): void {
    this.recent.push(pageS - audioS);
    if (this.recent.length > KEPT) this.recent.shift();
  }

  /** A time of the page's clock on the audio clock; undefined before the first observation. */
  toAudio(pageS: number): number | undefined {
    return this.recent.length ? pageS - Math.min(...this.recent) : undefined;
  }
}
