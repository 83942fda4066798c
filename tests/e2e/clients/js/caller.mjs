// What the callers in Node share: their orders, their reports, and a microphone that plays lines of speech in real time.

import { readFileSync } from 'node:fs';

export const FRAME_MS = 20;
const BYTES_PER_MS = 48; // 24 kHz, 16-bit, mono

/** What the test wants: one JSON document on standard input. */
export const order = JSON.parse(readFileSync(0, 'utf8'));

/** Tells the test something: one JSON document a line. */
export function report(what, fields = {}) {
  process.stdout.write(JSON.stringify({ what, ...fields }) + '\n');
}

/** Ends the program with a reason, unless `holds`. */
export function must(holds, why) {
  if (!holds) throw new Error(why);
}

/** The samples of a WAV file. */
function samplesOf(path) {
  const file = readFileSync(path);
  return file.subarray(file.indexOf('data') + 8);
}

/** Streams silence, and lines when they are spoken, a frame each 20 ms. */
export class Microphone {
  #send;
  #waiting = Buffer.alloc(0);
  #timer;

  /** @param send takes each frame: a Buffer of 20 ms. */
  constructor(send) {
    this.#send = send;
  }

  start() {
    let due = Date.now();
    const frameBytes = FRAME_MS * BYTES_PER_MS;
    this.#timer = setInterval(() => {
      for (; due <= Date.now(); due += FRAME_MS) {
        const frame = Buffer.alloc(frameBytes);
        this.#waiting.copy(frame, 0, 0, frameBytes);
        this.#waiting = this.#waiting.subarray(frameBytes);
        this.#send(frame);
      }
    }, FRAME_MS);
  }

  speak(name) {
    this.#waiting = Buffer.concat([this.#waiting, samplesOf(order.lines[name])]);
  }

  stop() {
    clearInterval(this.#timer);
  }
}

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Keeps what comes, and waits for it. */
export class Seen {
  #all = [];
  #waiting = [];

  add(event) {
    this.#all.push(event);
    this.#waiting = this.#waiting.filter(({ holds, done }) => {
      const found = this.#all.filter(holds);
      if (found.length) done(found);
      return !found.length;
    });
  }

  of(type) {
    return this.#all.filter((event) => event.type === type);
  }

  last() {
    return this.#all.at(-1);
  }

  /** The first event of which something holds, among those so far and those to come. */
  find(holds) {
    return new Promise((resolve) => {
      const found = this.#all.find(holds);
      if (found) resolve(found);
      else this.#waiting.push({ holds, done: ([first]) => resolve(first) });
    });
  }

  /** The count-th event of a type. */
  async until(type, count = 1) {
    let met = 0;
    const known = new Set();
    return this.find((event) => {
      if (event.type === type && !known.has(event)) {
        known.add(event);
        met += 1;
      }
      return event.type === type && met >= count;
    });
  }
}
