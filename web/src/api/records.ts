// Records of calls, as the REST API gives them.

import type { TraceBody } from '../call/turn_ledger';
import { ask, type Page } from './rest';

/** The result of replaying a call's log, and of judging what the agent claimed. */
export interface Verdict {
  readonly replay: 'same' | 'differs' | 'impossible';
  readonly invariant_broken: string | null;
  readonly claims: number;
  readonly unfounded: number;
  readonly due: number;
  readonly reported: number;
}

export interface SessionRecord {
  readonly id: string;
  readonly agent: string | null;
  readonly model: string | null;
  readonly created_at: number;
  readonly closed_at: number | null;
  readonly verdict?: Verdict | null;
  readonly has_audio?: boolean;
}

export interface ItemRecord {
  readonly id: string;
  readonly type: string;
  readonly role?: string;
  readonly is_hidden?: boolean;
  readonly name?: string;
  readonly arguments?: string;
  readonly call_id?: string;
  readonly output?: string;
  readonly transcript?: string | null;
  readonly sent_ms?: number;
  readonly heard_ms?: number | null;
  readonly content?: readonly { type?: string; text?: string | null; transcript?: string | null }[];
}

export interface Filter {
  readonly q: string;
  readonly agent: string;
  readonly state: string;
}

const PAGE = 100;

export function listSessions(filter: Filter, after: string | null, signal: AbortSignal): Promise<Page<SessionRecord>> {
  const query = new URLSearchParams({ limit: '30' });
  for (const [name, value] of Object.entries({ ...filter, after })) if (value) query.set(name, value);
  return ask(`/v1/realtime/sessions?${query}`, { signal });
}

export function readSession(id: string, signal: AbortSignal): Promise<SessionRecord> {
  return ask(`/v1/realtime/sessions/${encodeURIComponent(id)}`, { signal });
}

/** All items of a call, in order. */
export function readItems(id: string, signal: AbortSignal): Promise<ItemRecord[]> {
  return everything(`/v1/realtime/sessions/${encodeURIComponent(id)}/items`, signal);
}

/** The ledgers of all answered turns of a call, in order. */
export function readTurns(id: string, signal: AbortSignal): Promise<TraceBody[]> {
  return everything(`/v1/realtime/sessions/${encodeURIComponent(id)}/turns`, signal);
}

async function everything<T>(path: string, signal: AbortSignal): Promise<T[]> {
  const all: T[] = [];
  let after = '';
  for (;;) {
    const page: Page<T> = await ask(`${path}?order=asc&limit=${PAGE}${after}`, { signal });
    all.push(...page.data);
    if (!page.has_more || !page.last_id) return all;
    after = `&after=${encodeURIComponent(page.last_id)}`;
  }
}
