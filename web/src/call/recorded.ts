// A recorded call as a conversation.

import type { ItemRecord } from '../api/records';
import type { Conversation, Entry } from './conversation';
import { EMPTY } from './conversation';

/** Items in order → what was said and done. Of an answer that was cut, only what was heard was kept. */
export function conversationOf(items: readonly ItemRecord[]): Conversation {
  const outputs = new Map(items.filter((each) => each.type === 'function_call_output').map((each) => [each.call_id, each.output]));
  return { ...EMPTY, entries: items.flatMap((item) => entryOf(item, outputs)) };
}

function entryOf(item: ItemRecord, outputs: ReadonlyMap<string | undefined, string | undefined>): Entry[] {
  if (item.type === 'function_call') {
    const output = outputs.get(item.call_id) ?? null;
    return [{ kind: 'tool', id: item.id, name: item.name ?? 'tool', arguments: item.arguments ?? '', output }];
  }
  if (item.type !== 'message') return [];
  const text = textOf(item);
  if (item.role === 'user') {
    const isTyped = !(item.content ?? []).some((part) => part.type === 'input_audio');
    return [{ kind: 'caller', id: item.id, text, isTyped, phase: 'done' }];
  }
  if (item.role !== 'assistant') return text ? [{ kind: 'note', id: item.id, tone: 'info', text }] : [];
  const isCut = item.heard_ms != null && item.sent_ms !== undefined && item.heard_ms < item.sent_ms;
  return [{ kind: 'agent', id: item.id, responseId: '', text, heard: isCut ? text : null, audioMs: item.sent_ms ?? 0, phase: 'done' }];
}

function textOf(item: ItemRecord): string {
  const parts = (item.content ?? []).map((part) => part.text ?? part.transcript ?? '').filter(Boolean);
  return parts.join(' ') || (item.transcript ?? '');
}
