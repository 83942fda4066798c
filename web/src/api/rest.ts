// The gateway's REST API, for a signed-in tenant. The key is kept for this tab alone.

const STORED = 'agentvoicebox.key';

/** A refusal of the server. */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

export interface Page<T> {
  readonly data: readonly T[];
  readonly has_more: boolean;
  readonly last_id: string | null;
}

/** The key of this tab; empty: none. */
export function storedKey(): string {
  return sessionStorage.getItem(STORED) ?? '';
}

export function storeKey(key: string): void {
  if (key) sessionStorage.setItem(STORED, key);
  else sessionStorage.removeItem(STORED);
}

/** Ask, and read the JSON of the answer. Throws Refusal, or TypeError when the server can't be reached. */
export async function ask<T>(path: string, init: { method?: string; body?: unknown; signal?: AbortSignal } = {}): Promise<T> {
  const response = await send(path, init);
  return (response.status === 204 ? undefined : await response.json()) as T;
}

/** The body of an answer as bytes. Throws as `ask`. */
export async function download(path: string): Promise<Blob> {
  return (await send(path, {})).blob();
}

async function send(path: string, { method = 'GET', body, signal }: { method?: string; body?: unknown; signal?: AbortSignal }) {
  const key = storedKey();
  const response = await fetch(path, {
    method,
    headers: {
      ...(key && { authorization: `Bearer ${key}` }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
    ...(signal && { signal }),
    credentials: 'omit',
    cache: 'no-store',
  });
  if (response.ok) return response;
  const error = await response.json().then(
    (read: { error?: { code?: string; message?: string } }) => read.error ?? {},
    () => ({}) as { code?: string; message?: string },
  );
  throw new Refusal(response.status, error.code ?? '', error.message ?? `The server answered ${response.status}.`);
}

/** The address of the Realtime socket of this server. */
export function socketUrl(): string {
  const url = new URL('/v1/realtime', location.href);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  return url.href;
}

/** An ephemeral secret for one call; empty when this server needs no key. */
export async function mintSecret(agent: string): Promise<string> {
  if (!storedKey()) return '';
  const minted = await ask<{ value: string }>('/v1/realtime/client_secrets', {
    method: 'POST',
    body: { expires_after: { anchor: 'created_at', seconds: 7200 }, session: { type: 'realtime', model: agent } },
  });
  return minted.value;
}
