// What the page knows of the server that it came from.

import { signal } from '@preact/signals';
import { ask, Refusal, storedKey, storeKey, type Page } from '../api/rest';

export interface Agent {
  readonly id: string;
}

export interface Voice {
  readonly name: string;
  readonly engine: string;
  readonly language: string;
}

/** `asking` while the server is asked, `key`: it wants a key, `open`: the page may use it. */
export type Access = 'asking' | 'key' | 'open' | 'away';

export const access = signal<Access>('asking');
export const accessProblem = signal('');
export const needsKey = signal(false);
/** False for a key that may only administer. */
export const mayCall = signal(true);
export const agents = signal<readonly Agent[]>([]);
export const voices = signal<readonly Voice[]>([]);

/** Ask for agents and voices with the key of this tab. */
export async function enter(): Promise<void> {
  access.value = 'asking';
  try {
    const [known, spoken] = await Promise.all([ask<Page<Agent>>('/v1/models'), ask<Page<Voice>>('/v1/voices')]);
    agents.value = known.data;
    voices.value = spoken.data;
    open(true);
  } catch (error) {
    if (error instanceof Refusal && error.code === 'insufficient_permissions') {
      needsKey.value = true;
      open(false);
      return;
    }
    const isRefused = error instanceof Refusal && (error.status === 401 || error.status === 403);
    needsKey.value ||= isRefused;
    accessProblem.value = isRefused && !storedKey() ? '' : error instanceof Error ? error.message : String(error);
    access.value = isRefused ? 'key' : 'away';
    if (isRefused) storeKey('');
  }
}

function open(isForCalls: boolean): void {
  mayCall.value = isForCalls;
  accessProblem.value = '';
  access.value = 'open';
}

export async function signIn(key: string): Promise<void> {
  storeKey(key.trim());
  await enter();
}

export function signOut(): void {
  storeKey('');
  location.reload();
}
