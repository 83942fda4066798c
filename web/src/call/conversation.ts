// What was said and done in a call, from its events. Pure: an event and the state give the next state.

import type { ServerEvent } from '../realtime/events';

export interface CallerEntry {
  readonly kind: 'caller';
  readonly id: string;
  readonly text: string;
  readonly isTyped: boolean;
  /** `speaking`, then `recognising` until the words are known. */
  readonly phase: 'speaking' | 'recognising' | 'done';
}

export interface AgentEntry {
  readonly kind: 'agent';
  readonly id: string;
  readonly responseId: string;
  readonly text: string;
  /** What the caller heard of `text`, when the answer was cut. */
  readonly heard: string | null;
  /** Audio that came so far. */
  readonly audioMs: number;
  readonly phase: 'speaking' | 'done';
}

export interface ToolEntry {
  readonly kind: 'tool';
  readonly id: string;
  readonly name: string;
  readonly arguments: string;
  readonly output: string | null;
}

export interface NoteEntry {
  readonly kind: 'note';
  readonly id: string;
  readonly tone: 'info' | 'warning' | 'error';
  readonly text: string;
}

export type Entry = CallerEntry | AgentEntry | ToolEntry | NoteEntry;

export interface Conversation {
  readonly entries: readonly Entry[];
  /** What the server can't do now. */
  readonly degraded: readonly string[];
  /** Fields of the session that are not in force. */
  readonly notes: readonly string[];
  readonly isAnswering: boolean;
  /** Whether the caller's speech stops the agent. */
  readonly interrupts: boolean;
}

export const EMPTY: Conversation = { entries: [], degraded: [], notes: [], isAnswering: false, interrupts: true };

const BYTES_A_MS = 48; // of 24 kHz PCM

/** The conversation after an event of the server. Unknown events change nothing. */
export function receive(state: Conversation, event: ServerEvent): Conversation {
  switch (event.type) {
    case 'session.created':
    case 'session.updated':
      return readSession(state, event['session'] ?? {});
    case 'input_audio_buffer.speech_started':
      return put(state, { kind: 'caller', id: event['item_id'], text: '', isTyped: false, phase: 'speaking' });
    case 'input_audio_buffer.speech_stopped':
      return change(state, 'caller', event['item_id'], () => ({ phase: 'recognising' }));
    case 'input_audio_buffer.committed':
      return commit(state, event['item_id']);
    case 'conversation.item.input_audio_transcription.delta':
      return change(state, 'caller', event['item_id'], (entry) => ({ text: entry.text + event['delta'] }));
    case 'conversation.item.input_audio_transcription.completed':
      return change(state, 'caller', event['item_id'], () => ({ text: event['transcript'].trim(), phase: 'done' }));
    case 'conversation.item.input_audio_transcription.failed':
      return note(
        change(state, 'caller', event['item_id'], () => ({ phase: 'done' })),
        event,
        'warning',
        `The words were not recognised: ${event['error']?.message ?? 'unknown reason'}`,
      );
    case 'conversation.item.added':
      return addItem(state, event['item'] ?? {});
    case 'conversation.item.deleted':
      return { ...state, entries: state.entries.filter((entry) => entry.id !== event['item_id']) };
    case 'conversation.item.truncated':
      return change(state, 'agent', event['item_id'], (entry) => ({ heard: share(entry, event['audio_end_ms']) }));
    case 'conversation.item.retrieved':
      return readHeard(state, event['item'] ?? {});
    case 'response.created':
      return { ...state, isAnswering: true };
    case 'response.output_item.added':
      return addOutput(state, event);
    case 'response.output_audio_transcript.delta':
    case 'response.output_text.delta':
      return change(state, 'agent', event['item_id'], (entry) => ({ text: entry.text + event['delta'] }));
    case 'response.output_audio.delta':
      return change(state, 'agent', event['item_id'], (entry) => ({
        audioMs: entry.audioMs + (event['delta'].length * 3) / 4 / BYTES_A_MS,
      }));
    case 'response.function_call_arguments.done':
      return change(state, 'tool', event['item_id'], () => ({ arguments: event['arguments'] }));
    case 'response.done':
      return endResponse(state, event);
    case 'error':
      return note(state, event, 'error', String(event['error']?.message ?? 'The server reported an error.'));
    default:
      return state;
  }
}

/** Add a note of the page itself. */
export function addNote(state: Conversation, id: string, tone: NoteEntry['tone'], text: string): Conversation {
  return put(state, { kind: 'note', id, tone, text });
}

/** Tool calls that the server ran itself: they are not on the wire, but in its records (`GET …/items`). */
export function addServerTools(state: Conversation, tools: readonly ToolEntry[]): Conversation {
  return tools.reduce((before, tool) => {
    const known = before.entries.find((entry) => entry.id === tool.id);
    return known ? change(before, 'tool', tool.id, () => tool) : insertTool(before, tool);
  }, state);
}

/** Split the text of an answer into what was heard and what was not. */
export function splitHeard(entry: AgentEntry): { heard: string; unheard: string } {
  if (entry.heard === null) return { heard: entry.text, unheard: '' };
  const isPrefix = entry.text.startsWith(entry.heard);
  return isPrefix ? { heard: entry.heard, unheard: entry.text.slice(entry.heard.length) } : { heard: entry.heard, unheard: '' };
}

// -- steps -------------------------------------------------------------------------------------------------------

interface Session {
  readonly audio?: { readonly input?: { readonly turn_detection?: { readonly interrupt_response?: boolean } | null } };
}

function readSession(state: Conversation, session: Record<string, unknown>): Conversation {
  const degraded = Array.isArray(session['degraded']) ? session['degraded'].map(String) : [];
  const notes = Array.isArray(session['notes'])
    ? session['notes'].map((each: { param?: string; message?: string }) => `${each.param ?? ''}: ${each.message ?? ''}`)
    : [];
  const detection = (session['audio'] as Session['audio'])?.input?.turn_detection;
  return { ...state, degraded, notes, interrupts: detection?.interrupt_response ?? true };
}

function commit(state: Conversation, itemId: string): Conversation {
  const known = state.entries.some((entry) => entry.id === itemId);
  return known
    ? change(state, 'caller', itemId, (entry) => (entry.phase === 'speaking' ? { phase: 'recognising' } : {}))
    : put(state, { kind: 'caller', id: itemId, text: '', isTyped: false, phase: 'recognising' });
}

function addItem(state: Conversation, item: Record<string, any>): Conversation {
  if (item['type'] === 'function_call_output') {
    const call = state.entries.find((entry) => entry.kind === 'tool' && entry.id === item['call_id']);
    return call ? change(state, 'tool', call.id, () => ({ output: String(item['output']) })) : state;
  }
  const typed = textOf(item, 'input_text');
  if (item['type'] !== 'message' || item['role'] !== 'user' || !typed) return state;
  return put(state, { kind: 'caller', id: item['id'], text: typed, isTyped: true, phase: 'done' });
}

function addOutput(state: Conversation, event: ServerEvent): Conversation {
  const item: Record<string, any> = event['item'] ?? {};
  if (item['type'] === 'function_call') {
    return put(state, {
      kind: 'tool',
      id: item['id'],
      name: item['name'] ?? 'tool',
      arguments: item['arguments'] ?? '',
      output: null,
    });
  }
  if (item['type'] !== 'message') return state;
  const responseId = String(event['response_id']);
  return put(state, { kind: 'agent', id: item['id'], responseId, text: '', heard: null, audioMs: 0, phase: 'speaking' });
}

function readHeard(state: Conversation, item: Record<string, any>): Conversation {
  const heard = textOf(item, 'output_audio') ?? textOf(item, 'audio');
  if (item['role'] !== 'assistant' || heard === null) return state;
  return change(state, 'agent', item['id'], (entry) => (entry.heard === null ? {} : { heard }));
}

function endResponse(state: Conversation, event: ServerEvent): Conversation {
  const response: Record<string, any> = event['response'] ?? {};
  const entries = state.entries.map((entry) =>
    entry.kind === 'agent' && entry.responseId === response['id'] ? { ...entry, phase: 'done' as const } : entry,
  );
  const ended = { ...state, entries, isAnswering: false };
  if (response['status'] !== 'failed' && response['status'] !== 'incomplete') return ended;
  const details = response['status_details'] ?? {};
  const why = details.error?.message ?? details.error?.code ?? details.reason ?? 'unknown reason';
  return note(ended, event, 'error', `The answer ${response['status'] === 'failed' ? 'failed' : 'is incomplete'}: ${why}`);
}

/** The part of an answer's text that `audioEndMs` of its audio spoke, to whole words: an estimate until the server says it. */
function share(entry: AgentEntry, audioEndMs: number): string {
  if (!entry.audioMs || audioEndMs >= entry.audioMs) return entry.text;
  const cut = Math.round((entry.text.length * audioEndMs) / entry.audioMs);
  return entry.text.slice(0, entry.text.lastIndexOf(' ', cut) + 1).trimEnd();
}

function textOf(item: Record<string, any>, type: string): string | null {
  const parts = (item['content'] ?? []) as { type?: string; text?: string; transcript?: string }[];
  const found = parts.filter((part) => part.type === type);
  return found.length ? found.map((part) => part.text ?? part.transcript ?? '').join(' ') : null;
}

function note(state: Conversation, event: ServerEvent, tone: NoteEntry['tone'], text: string): Conversation {
  return put(state, { kind: 'note', id: event.event_id ?? `note_${state.entries.length}`, tone, text });
}

function put(state: Conversation, entry: Entry): Conversation {
  return state.entries.some((known) => known.id === entry.id) ? state : { ...state, entries: [...state.entries, entry] };
}

/** Before the answer that it led to. */
function insertTool(state: Conversation, tool: ToolEntry): Conversation {
  const last = state.entries.at(-1);
  const at = last?.kind === 'agent' ? state.entries.length - 1 : state.entries.length;
  return { ...state, entries: [...state.entries.slice(0, at), tool, ...state.entries.slice(at)] };
}

type OfKind<K extends Entry['kind']> = Extract<Entry, { kind: K }>;

function change<K extends Entry['kind']>(
  state: Conversation,
  kind: K,
  id: string,
  by: (entry: OfKind<K>) => Partial<OfKind<K>>,
): Conversation {
  const entries = state.entries.map((entry) =>
    entry.kind === kind && entry.id === id ? { ...entry, ...by(entry as OfKind<K>) } : entry,
  );
  return { ...state, entries };
}
