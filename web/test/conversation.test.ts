import { describe, expect, it } from 'vitest';
import { addServerTools, EMPTY, receive, splitHeard, type AgentEntry, type Conversation } from '../src/call/conversation';
import type { ServerEvent } from '../src/realtime/events';

const after = (...events: ServerEvent[]): Conversation => events.reduce(receive, EMPTY);
const agentMessage = { id: 'item_2', type: 'message', role: 'assistant', content: [] };
const SPOKEN: ServerEvent[] = [
  { type: 'response.created', response: { id: 'resp_1' } },
  { type: 'response.output_item.added', response_id: 'resp_1', item: agentMessage },
  { type: 'response.output_audio_transcript.delta', item_id: 'item_2', delta: 'Your parcel is ' },
  { type: 'response.output_audio_transcript.delta', item_id: 'item_2', delta: 'out for delivery.' },
  { type: 'response.output_audio.delta', item_id: 'item_2', delta: 'A'.repeat(64_000) }, // 1,000 ms
];

describe('the caller', () => {
  it('is shown while speaking, while recognised, and with the words', () => {
    const phases = [
      after({ type: 'input_audio_buffer.speech_started', item_id: 'item_1' }),
      after(
        { type: 'input_audio_buffer.speech_started', item_id: 'item_1' },
        { type: 'input_audio_buffer.committed', item_id: 'item_1' },
      ),
      after(
        { type: 'input_audio_buffer.speech_started', item_id: 'item_1' },
        { type: 'conversation.item.input_audio_transcription.completed', item_id: 'item_1', transcript: ' Hello. ' },
      ),
    ].map((state) => state.entries[0]);
    expect(phases).toMatchObject([{ phase: 'speaking' }, { phase: 'recognising' }, { phase: 'done', text: 'Hello.' }]);
  });

  it('appears once, also when the item is committed by hand or added twice', () => {
    const item = { id: 'item_1', type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Hi' }] };
    const state = after({ type: 'conversation.item.added', item }, { type: 'conversation.item.added', item });
    expect(state.entries).toEqual([{ kind: 'caller', id: 'item_1', text: 'Hi', isTyped: true, phase: 'done' }]);
  });
});

describe('the agent', () => {
  it('is shown as it speaks', () => {
    expect(after(...SPOKEN).entries).toMatchObject([{ text: 'Your parcel is out for delivery.', heard: null, audioMs: 1000 }]);
  });

  it('is struck through from the cut: an estimate by time, to whole words', () => {
    const state = after(...SPOKEN, { type: 'conversation.item.truncated', item_id: 'item_2', audio_end_ms: 500 });
    expect(splitHeard(state.entries[0] as AgentEntry)).toEqual({ heard: 'Your parcel is', unheard: ' out for delivery.' });
  });

  it("is corrected by the server's own words", () => {
    const state = after(
      ...SPOKEN,
      { type: 'conversation.item.truncated', item_id: 'item_2', audio_end_ms: 500 },
      {
        type: 'conversation.item.retrieved',
        item: { ...agentMessage, content: [{ type: 'output_audio', transcript: 'Your parcel is out' }] },
      },
    );
    expect(splitHeard(state.entries[0] as AgentEntry)).toEqual({ heard: 'Your parcel is out', unheard: ' for delivery.' });
  });

  it('says why an answer failed', () => {
    const response = { id: 'resp_1', status: 'failed', status_details: { error: { message: 'no model' } } };
    const state = after(...SPOKEN, { type: 'response.done', event_id: 'event_9', response });
    expect(state.entries[1]).toEqual({ kind: 'note', id: 'event_9', tone: 'error', text: 'The answer failed: no model' });
    expect(state.isAnswering).toBe(false);
  });
});

describe('a tool', () => {
  it('of the server is put before the answer that it led to, once, and gets its result', () => {
    const tool = { kind: 'tool', id: 'call_1', name: 'track', arguments: '{}', output: null } as const;
    let state = addServerTools(after(...SPOKEN), [tool]);
    state = addServerTools(state, [{ ...tool, output: '{"a":1}' }]);
    expect(state.entries.map((entry) => entry.kind)).toEqual(['tool', 'agent']);
    expect(state.entries[0]).toMatchObject({ output: '{"a":1}' });
  });
});

it('shows degraded modes and what is not in force', () => {
  const state = after({
    type: 'session.updated',
    session: { degraded: ['no_memory'], notes: [{ param: 'session.instructions', message: 'not followed' }] },
  });
  expect(state).toMatchObject({ degraded: ['no_memory'], notes: ['session.instructions: not followed'] });
});

it('knows whether speech stops the agent', () => {
  const session = (interrupt_response?: boolean) => ({ audio: { input: { turn_detection: { interrupt_response } } } });
  const updated = (fields: object) => after({ type: 'session.updated', session: fields }).interrupts;
  expect([updated(session(false)), updated(session(true)), updated(session()), updated({})]).toEqual([false, true, true, true]);
});

it('ignores events that it does not know', () => {
  expect(after({ type: 'something.new' })).toBe(EMPTY);
});
