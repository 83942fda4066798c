// Where the milliseconds of each answer went: the server's account of a turn, and around it what only the browser can measure.
//
// The whole is measured on one clock, the audio clock: from the caller's last voiced sample at the microphone to the first sample
// of the answer at the loudspeaker. The server's parts sum to its own time. `network` is the rest of the way from
// the microphone to the first audio that arrives: framing, and the network in both directions. `playback` is the way from there to
// the loudspeaker.

export const SERVER_PARTS = ['endpointing', 'socket', 'ingest', 'queue', 'stt', 'dialogue', 'tool', 'tts', 'gateway'] as const;
export const PARTS = [...SERVER_PARTS, 'network', 'playback'] as const;
export type Part = (typeof PARTS)[number];

/** Work that ended before the end of the turn was decided, so that nobody waited for it. ms since the end of speech. */
export interface HiddenWork {
  readonly part: string;
  readonly startMs: number;
  readonly endMs: number;
}

export interface Turn {
  readonly responseId: string;
  readonly partsMs: Readonly<Record<Part, number>>;
  /** From the last voiced sample to the first sound; the server's time alone, when that was not measured. */
  readonly wholeMs: number;
  /** From the end of the caller's speech to the decision that the turn is over, at the server. */
  readonly decidedMs: number;
  readonly hidden: readonly HiddenWork[];
  readonly speculation: string;
  /** How much silence each part of the rule asked for that ended the turn, ms. */
  readonly votesMs: Readonly<Record<string, number>>;
  readonly isTyped: boolean;
  /** False while, or if, the browser's parts are not known (text only, or the call was resumed in between). */
  readonly isMeasured: boolean;
}

/** The `turn` of an `agentvoicebox.turn` event. */
export interface TraceBody {
  readonly phase?: string;
  readonly response_id: string;
  readonly item_id?: string | null;
  readonly total_ms: number;
  readonly parts_ms: Readonly<Record<string, number>>;
  readonly marks_ms?: Readonly<Record<string, number | null>>;
  readonly bars?: readonly { part: string; start_ms: number; end_ms: number; is_hidden: boolean }[];
  readonly speculation?: string;
  readonly votes_ms?: Readonly<Record<string, number>>;
  /** Where the caller's speech ended, ms from the first sample ever appended; null for typed turns. */
  readonly speech_end_ms?: number | null;
}

const KEPT_FRAMES = 3_000; // a minute
const S = 1_000;

interface Anchor {
  readonly position: number; // samples from the first one appended
  readonly contextTime: number;
}

export class TurnLedger {
  private anchors: Anchor[] = [];
  private readonly traces = new Map<string, TraceBody>();
  private readonly arrivedS = new Map<string, number>(); // first audio, by response
  private readonly playedS = new Map<string, number>(); // first sample, by response
  private readonly responseOf = new Map<string, string>(); // by item
  private sentS: number | null = null; // a request for an answer that has not begun
  private readonly beganS = new Map<string, number>(); // end of speech, or the request, by response

  constructor(private readonly rateHz = 24_000) {}

  /** A frame whose first sample is the `position`-th of the call was captured at `contextTime`. */
  onFrame(position: number, contextTime: number): void {
    this.anchors.push({ position, contextTime });
    if (this.anchors.length > KEPT_FRAMES) this.anchors.shift();
  }

  /** The page asked for an answer. */
  onRequest(atS: number): void {
    this.sentS = atS;
  }

  /** A response began: the one that was asked for, if any was. */
  onResponse(responseId: string): void {
    if (this.sentS !== null) this.beganS.set(responseId, this.sentS);
    this.sentS = null;
  }

  /** Audio of a response came. Only the first counts. */
  onAudio(responseId: string, itemId: string, atS: number): void {
    this.responseOf.set(itemId, responseId);
    if (!this.arrivedS.has(responseId)) this.arrivedS.set(responseId, atS);
  }

  /** The first sample of an item was heard. */
  onPlayed(itemId: string, atS: number): void {
    const responseId = this.responseOf.get(itemId);
    if (responseId && !this.playedS.has(responseId)) this.playedS.set(responseId, atS);
  }

  onTrace(trace: TraceBody): void {
    const isFirst = !this.traces.has(trace.response_id);
    this.traces.set(trace.response_id, trace);
    if (!isFirst || trace.speech_end_ms == null) return;
    const capturedS = this.capturedS(trace.speech_end_ms); // now: frames are forgotten after a minute
    if (capturedS === undefined) this.beganS.delete(trace.response_id);
    else this.beganS.set(trace.response_id, capturedS);
  }

  /** The turns so far, in order. */
  turns(): Turn[] {
    return [...this.traces.values()].map((trace) => this.turn(trace));
  }

  private turn(trace: TraceBody): Turn {
    const isTyped = trace.speech_end_ms == null;
    const beganS = this.beganS.get(trace.response_id);
    const arrivedS = this.arrivedS.get(trace.response_id);
    const playedS = this.playedS.get(trace.response_id);
    const isMeasured = beganS !== undefined && arrivedS !== undefined && playedS !== undefined;
    const partsMs = Object.fromEntries(PARTS.map((part) => [part, trace.parts_ms[part] ?? 0])) as Record<Part, number>;
    if (isMeasured) {
      partsMs.network = (arrivedS - beganS) * S - trace.total_ms;
      partsMs.playback = (playedS - arrivedS) * S;
    }
    return {
      responseId: trace.response_id,
      partsMs,
      wholeMs: isMeasured ? (playedS - beganS) * S : trace.total_ms,
      decidedMs: trace.marks_ms?.['endpoint_decided'] ?? 0,
      hidden: (trace.bars ?? [])
        .filter((bar) => bar.is_hidden && bar.part !== 'queue')
        .map((bar) => ({ part: bar.part, startMs: bar.start_ms, endMs: bar.end_ms })),
      speculation: trace.speculation ?? 'none',
      votesMs: trace.votes_ms ?? {},
      isTyped,
      isMeasured,
    };
  }

  /** When the sample at a position of the call was captured. */
  private capturedS(ms: number): number | undefined {
    const position = (ms * this.rateHz) / S;
    const anchor = this.anchors.findLast((each) => each.position <= position);
    return anchor && anchor.contextTime + (position - anchor.position) / this.rateHz;
  }
}

/** Nearest-rank percentile of the wholes, ms; null without turns. */
export function percentile(turns: readonly Turn[], share: number): number | null {
  const sorted = turns.map((turn) => turn.wholeMs).sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? null;
}
