// A call over a WebSocket of the OpenAI Realtime protocol. When the connection breaks, or the gateway hands the call over, it
// connects again and goes on where it was (docs/resume.md); a server without that extension simply ends the call.

import { OWN_PREFIX, type ClientEvent, type ServerEvent } from './events';
import { base64OfPcm } from './pcm';
import { SentAudio } from './sent_audio';

/** `reconnecting`: the connection broke, and the call is being resumed. `ended` is final. */
export type CallState = 'connecting' | 'open' | 'reconnecting' | 'ended';

/** What `agentvoicebox.resumed` said. `gapMs`: from the break to it. `isComplete`: no event of the server was missed. */
export interface Resumption {
  readonly gapMs: number;
  readonly isComplete: boolean;
}

export interface CallOptions {
  /** Of the socket: `wss://host/v1/realtime`. */
  readonly url: string;
  /** The agent; the server's default when it is absent. */
  readonly model?: string;
  /** An ephemeral secret (`ek_…`); a server on this machine without keys needs none. */
  readonly secret?: string;
  /** Ask for `agentvoicebox.turn` events. */
  readonly trace?: boolean;
  /** Of the caller's audio; 24,000 unless the session was set to another rate. */
  readonly rateHz?: number;
  /** How long to try to resume. */
  readonly reconnectForMs?: number;
  readonly onEvent: (event: ServerEvent) => void;
  /** `reason` is for people; empty unless the state is `reconnecting` or `ended`. */
  readonly onState?: (state: CallState, reason: string) => void;
  readonly onResumed?: (resumption: Resumption) => void;
  /** For tests. */
  readonly WebSocket?: new (url: string, protocols: string[]) => WebSocket;
  readonly now?: () => number;
}

const RECONNECT_CODES = new Set([1006, 1012, 1013]);
const TAKEN_OVER = 'session_taken';
const FIRST_PAUSE_MS = 20;
const LONGEST_PAUSE_MS = 500;
const ATTEMPT_MS = 5_000;
const KEPT_EVENTS = 100;
const CATCH_UP_S = 0.5; // of audio in one append
const HUNG_UP = 1000;

export class RealtimeCall {
  /** Of `session.created`; empty before. */
  sessionId = '';
  state: CallState = 'connecting';
  readonly audio: SentAudio;

  private readonly options: CallOptions;
  private readonly now: () => number;
  private socket: WebSocket | null = null;
  private lastEventId = '';
  private resumeToken = '';
  private readonly ownEvents: ClientEvent[] = [];
  private eventCount = 0;
  private lastError = '';
  private brokeMs = 0;
  private pauseMs = FIRST_PAUSE_MS;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: CallOptions) {
    this.options = options;
    this.now = options.now ?? (() => performance.now());
    this.audio = new SentAudio(options.rateHz ?? 24_000);
    this.open({});
  }

  /** Send an event. While the connection is down it is kept, and sent after it. */
  send(event: ClientEvent): void {
    if (this.state === 'ended') return;
    const named = { ...event, event_id: event.event_id ?? `evt_${++this.eventCount}` };
    this.ownEvents.push(named);
    if (this.ownEvents.length > KEPT_EVENTS) this.ownEvents.shift();
    if (this.state === 'open') this.socket?.send(JSON.stringify(named));
  }

  /** Append the caller's audio. While the connection is down it is kept, and sent after it. */
  appendAudio(pcm: Int16Array): void {
    if (this.state === 'ended') return;
    this.audio.append(pcm);
    if (this.state === 'open') this.sendAudio(pcm);
  }

  /** End the call. */
  hangUp(): void {
    this.end('');
  }

  // -- the connection --------------------------------------------------------------------------------------------

  private open(more: Record<string, string>): void {
    const url = new URL(this.options.url);
    if (this.options.model) url.searchParams.set('model', this.options.model);
    if (this.options.trace) url.searchParams.set('trace', '1');
    for (const [name, value] of Object.entries({ resume: '1', ...more })) url.searchParams.set(name, value);
    const protocols = ['realtime'];
    if (this.options.secret) protocols.push(`openai-insecure-api-key.${this.options.secret}`);
    const socket = new (this.options.WebSocket ?? WebSocket)(url.href, protocols);
    this.socket = socket;
    this.timer = setTimeout(() => this.onClosed(socket, 1006, 'no answer'), ATTEMPT_MS);
    socket.onmessage = (message) => this.receive(socket, JSON.parse(String(message.data)) as ServerEvent);
    socket.onclose = (closed) => this.onClosed(socket, closed.code, closed.reason);
  }

  private receive(socket: WebSocket, event: ServerEvent): void {
    if (socket !== this.socket) return;
    if (event.type === 'session.created' && !this.sessionId) this.begin(event);
    else if (event.type === 'agentvoicebox.resumed') this.goOn(event);
    else if (event.type === 'error' && this.state !== 'open') this.lastError = String(event['error']?.message ?? '');
    if (event.event_id && !event.type.startsWith(OWN_PREFIX)) this.lastEventId = event.event_id;
    this.options.onEvent(event);
  }

  private begin(event: ServerEvent): void {
    clearTimeout(this.timer);
    this.sessionId = String(event['session']?.id ?? '');
    this.resumeToken = String(event['agentvoicebox']?.resume_token ?? '');
    this.become('open');
    for (const own of this.ownEvents) this.socket?.send(JSON.stringify(own));
  }

  /** The server has the session again: send what it lacks, audio first. */
  private goOn(event: ServerEvent): void {
    clearTimeout(this.timer);
    const { audio_start_ms, last_client_event_id, is_complete } = event;
    for (const piece of this.audio.since(Number(audio_start_ms), CATCH_UP_S * this.audio.rateHz)) this.sendAudio(piece);
    const known = this.ownEvents.findIndex((own) => own.event_id === last_client_event_id);
    for (const own of this.ownEvents.slice(known + 1)) this.socket?.send(JSON.stringify(own));
    this.pauseMs = FIRST_PAUSE_MS;
    this.become('open');
    this.options.onResumed?.({ gapMs: this.now() - this.brokeMs, isComplete: Boolean(is_complete) });
  }

  private sendAudio(pcm: Int16Array): void {
    this.socket?.send(JSON.stringify({ type: 'input_audio_buffer.append', audio: base64OfPcm(pcm) }));
  }

  private onClosed(socket: WebSocket, code: number, reason: string): void {
    if (socket !== this.socket || this.state === 'ended') return;
    clearTimeout(this.timer);
    this.drop();
    const isBreak = RECONNECT_CODES.has(code) && reason !== TAKEN_OVER && this.sessionId !== '';
    if (!isBreak) {
      this.end(this.lastError || reason || (this.sessionId ? `connection closed (${code})` : 'the server did not answer'));
      return;
    }
    if (this.state !== 'reconnecting') {
      this.brokeMs = this.now();
      this.become('reconnecting', reason || 'connection lost');
    }
    if (this.now() - this.brokeMs > (this.options.reconnectForMs ?? 20_000)) {
      this.end(this.lastError || 'connection lost');
      return;
    }
    this.timer = setTimeout(() => this.resume(), this.pauseMs);
    this.pauseMs = Math.min(2 * this.pauseMs, LONGEST_PAUSE_MS);
  }

  private resume(): void {
    this.lastError = '';
    this.open({
      session_id: this.sessionId,
      last_event_id: this.lastEventId,
      audio_from_ms: String(this.audio.fromMs),
      audio_until_ms: String(this.audio.untilMs),
      ...(this.resumeToken && { resume_token: this.resumeToken }),
    });
  }

  private end(reason: string): void {
    if (this.state === 'ended') return;
    clearTimeout(this.timer);
    this.become('ended', reason);
    this.drop();
  }

  private drop(): void {
    const socket = this.socket;
    this.socket = null;
    if (socket) {
      socket.onmessage = socket.onclose = null;
      socket.close(HUNG_UP);
    }
  }

  private become(state: CallState, reason = ''): void {
    this.state = state;
    this.options.onState?.(state, reason);
  }
}
