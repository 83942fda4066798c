// One call of this page: joins the connection, the audio line, the conversation and the ledger of its turns.

import { signal } from '@preact/signals';
import { ask, mintSecret, socketUrl, type Page } from '../api/rest';
import { ClockOffset } from '../audio/clock_offset';
import { Line, type MicrophoneFrame, type PlaybackReport } from '../audio/line';
import { RealtimeCall, type CallState } from '../realtime/call';
import type { ServerEvent } from '../realtime/events';
import { pcmOfBase64 } from '../realtime/pcm';
import { addNote, addServerTools, EMPTY, receive, type Conversation, type ToolEntry } from './conversation';
import { TurnLedger, type TraceBody, type Turn } from './turn_ledger';

/** `open`: the server finds the turns. `push`: the caller holds a key while speaking. `type`: no microphone. */
export type Mode = 'open' | 'push' | 'type';

export interface CallSettings {
  readonly agent: string;
  readonly voice: string; // empty: the agent's
  readonly mode: Mode;
  readonly microphone: string;
  readonly loudspeaker: string;
}

const RATE_HZ = 24_000;

interface StoredItem {
  readonly id: string;
  readonly type: string;
  readonly is_hidden?: boolean;
  readonly name?: string;
  readonly arguments?: string;
  readonly call_id?: string;
  readonly output?: string;
}

export class TalkSession {
  readonly state = signal<CallState | 'idle'>('idle');
  readonly reason = signal('');
  readonly conversation = signal<Conversation>(EMPTY);
  readonly turns = signal<readonly Turn[]>([]);
  readonly microphoneLevel = signal(0);
  readonly agentLevel = signal(0);
  readonly isMuted = signal(false);
  readonly isPressed = signal(false);
  readonly sessionId = signal('');
  readonly mode = signal<Mode>('open');

  private call: RealtimeCall | null = null;
  private line: Line | null = null;
  private ledger = new TurnLedger();
  private clock = new ClockOffset();
  private cutItems = new Set<string>();
  private noteCount = 0;

  /** Open the line and the connection. A refused microphone leaves a call to type in. */
  async start(settings: CallSettings): Promise<void> {
    this.reset();
    this.state.value = 'connecting';
    this.mode.value = settings.mode;
    const hooks = {
      microphone: settings.microphone,
      loudspeaker: settings.loudspeaker,
      onFrame: (frame: MicrophoneFrame) => this.onFrame(frame),
      onPlayback: (report: PlaybackReport) => this.onPlayback(report),
    };
    try {
      this.line = await this.openLine(settings.mode, hooks);
      const secret = await mintSecret(settings.agent);
      this.call = new RealtimeCall({
        url: socketUrl(),
        model: settings.agent,
        secret,
        trace: true,
        onEvent: (event) => this.onEvent(event),
        onState: (state, reason) => this.onState(state, reason),
        onResumed: ({ gapMs, isComplete }) => this.onResumed(gapMs, isComplete),
      });
      this.call.send({ type: 'session.update', session: sessionOf(settings, this.mode.value) });
    } catch (error) {
      this.end(error instanceof Error ? error.message : String(error));
    }
  }

  private async openLine(mode: Mode, hooks: Parameters<typeof Line.open>[0]): Promise<Line> {
    if (mode === 'type') return Line.openSilent(hooks);
    try {
      return await Line.open(hooks);
    } catch (error) {
      this.mode.value = 'type';
      this.note('warning', `${microphoneProblem(error)} You can type instead.`);
      return Line.openSilent(hooks);
    }
  }

  hangUp(): void {
    this.end('');
  }

  /** Send a typed line. */
  say(text: string): void {
    if (!this.call || !text.trim()) return;
    this.interrupt();
    const content = [{ type: 'input_text', text: text.trim() }];
    this.call.send({ type: 'conversation.item.create', item: { type: 'message', role: 'user', content } });
    this.requestAnswer();
  }

  setMuted(isMuted: boolean): void {
    this.isMuted.value = isMuted;
    if (this.line) this.line.muted = isMuted;
  }

  /** Push-to-talk: the key is held. */
  press(): void {
    if (this.mode.value !== 'push' || this.isPressed.value || this.state.value !== 'open') return;
    this.interrupt();
    this.call?.send({ type: 'input_audio_buffer.clear' });
    this.isPressed.value = true;
  }

  /** Push-to-talk: the key is released; what was said is the turn. */
  release(): void {
    if (!this.isPressed.value) return;
    this.isPressed.value = false;
    this.call?.send({ type: 'input_audio_buffer.commit' });
    this.requestAnswer();
  }

  private requestAnswer(): void {
    this.ledger.onRequest(this.nowS());
    this.call?.send({ type: 'response.create' });
  }

  /** The caller breaks in by hand. */
  private interrupt(): void {
    this.line?.stop();
    if (this.conversation.value.isAnswering) this.call?.send({ type: 'response.cancel' });
  }

  // -- what comes in ---------------------------------------------------------------------------------------------

  private onFrame(frame: MicrophoneFrame): void {
    this.clock.observe(frame.contextTime + frame.pcm.length / RATE_HZ, performance.now() / 1000);
    this.microphoneLevel.value = this.isMuted.value ? 0 : frame.level;
    const isSent = this.mode.value === 'open' || this.isPressed.value;
    if (!isSent || !this.call?.sessionId) return;
    this.ledger.onFrame(this.call.audio.samples, frame.contextTime);
    this.call.appendAudio(frame.pcm);
  }

  private onEvent(event: ServerEvent): void {
    this.conversation.value = receive(this.conversation.value, event);
    switch (event.type) {
      case 'session.created':
        this.sessionId.value = event['session']?.id ?? '';
        break;
      case 'response.created':
        this.ledger.onResponse(event['response']?.id);
        break;
      case 'response.output_audio.delta':
        this.play(event);
        break;
      case 'input_audio_buffer.speech_started':
        if (this.conversation.value.interrupts) this.line?.stop();
        break;
      case 'agentvoicebox.turn':
        this.ledger.onTrace(event['turn'] as TraceBody);
        this.turns.value = this.ledger.turns();
        if (event['turn'].phase === 'done') void this.readServerTools();
        break;
    }
  }

  private play(event: ServerEvent): void {
    const { item_id, response_id, delta } = event;
    this.ledger.onAudio(response_id, item_id, this.nowS());
    if (!this.cutItems.has(item_id)) this.line?.play(item_id, pcmOfBase64(delta));
  }

  private onPlayback(report: PlaybackReport): void {
    this.agentLevel.value = report.what === 'progress' ? report.level : 0;
    if (report.what === 'started') {
      this.ledger.onPlayed(report.itemId, report.contextTime + (this.line?.outputLatency ?? 0));
      this.turns.value = this.ledger.turns();
    } else if (report.what === 'cut') {
      this.cut(report.itemId, report.playedMs);
    }
  }

  /** Tell the server what was heard of an answer, and ask it which words these were. */
  private cut(itemId: string, playedMs: number): void {
    this.cutItems.add(itemId);
    this.call?.send({
      type: 'conversation.item.truncate',
      item_id: itemId,
      content_index: 0,
      audio_end_ms: Math.floor(playedMs),
    });
    this.call?.send({ type: 'conversation.item.retrieve', item_id: itemId });
  }

  private onState(state: CallState, reason: string): void {
    if (state === 'ended') this.end(reason);
    else this.state.value = state;
    if (state === 'reconnecting') this.note('warning', 'The connection broke. Resuming the call …');
  }

  private onResumed(gapMs: number, isComplete: boolean): void {
    const missing = isComplete ? 'nothing was lost' : 'some events were missed';
    this.note(isComplete ? 'info' : 'warning', `The call was resumed after ${(gapMs / 1000).toFixed(1)} s; ${missing}.`);
  }

  /** The server's own tools are not on the wire (ADR 3); a key that may read records sees them there. */
  private async readServerTools(): Promise<void> {
    const path = `/v1/realtime/sessions/${this.sessionId.value}/items?order=asc&limit=100`;
    const items = await ask<Page<StoredItem>>(path).then((page) => page.data, () => []);
    this.conversation.value = addServerTools(this.conversation.value, toolsOf(items));
  }

  // -- the end ---------------------------------------------------------------------------------------------------

  private end(reason: string): void {
    this.call?.hangUp();
    this.call = null;
    void this.line?.close();
    this.line = null;
    this.isPressed.value = false;
    this.microphoneLevel.value = this.agentLevel.value = 0;
    this.reason.value = reason;
    this.state.value = 'ended';
  }

  private reset(): void {
    this.end('');
    this.conversation.value = EMPTY;
    this.turns.value = [];
    this.ledger = new TurnLedger();
    this.clock = new ClockOffset();
    this.cutItems = new Set();
    this.sessionId.value = '';
    this.isMuted.value = false;
  }

  private note(tone: 'info' | 'warning' | 'error', text: string): void {
    this.conversation.value = addNote(this.conversation.value, `page_${++this.noteCount}`, tone, text);
  }

  /** Now, on the audio clock; by the page's clock, which is finer. */
  private nowS(): number {
    return this.clock.toAudio(performance.now() / 1000) ?? this.line?.now ?? 0;
  }
}

function sessionOf(settings: CallSettings, mode: Mode): Record<string, unknown> {
  return {
    type: 'realtime',
    output_modalities: ['audio'],
    audio: {
      input: {
        format: { type: 'audio/pcm', rate: RATE_HZ },
        transcription: { model: 'whisper-1' },
        ...(mode === 'push' && { turn_detection: null }),
      },
      output: { format: { type: 'audio/pcm', rate: RATE_HZ }, ...(settings.voice && { voice: settings.voice }) },
    },
  };
}

function microphoneProblem(error: unknown): string {
  const name = error instanceof DOMException ? error.name : '';
  if (name === 'NotAllowedError') return 'The microphone was not allowed.';
  if (name === 'NotFoundError' || name === 'OverconstrainedError') return 'There is no such microphone.';
  if (!navigator.mediaDevices) return 'Browsers open the microphone on localhost and over https only.';
  return `The microphone can't be opened: ${error instanceof Error ? error.message : String(error)}.`;
}

/** The tool calls of a server's own among the items of a call, with their results. */
export function toolsOf(items: readonly StoredItem[]): ToolEntry[] {
  const outputs = new Map(items.filter((each) => each.type === 'function_call_output').map((each) => [each.call_id, each.output]));
  return items
    .filter((each) => each.type === 'function_call' && each.is_hidden)
    .map((each) => ({
      kind: 'tool',
      id: each.id,
      name: each.name ?? 'tool',
      arguments: each.arguments ?? '',
      output: outputs.get(each.call_id) ?? null,
    }));
}
