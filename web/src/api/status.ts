// The state of the deployment, for operators: `GET /v1/admin/status`. What is null can't be known while the store is away.

import { ask } from './rest';

export interface Gateway {
  readonly id: string;
  readonly calls: number;
  readonly max_calls: number;
  readonly is_draining: boolean;
  readonly heartbeat_at: number;
}

export interface Work {
  readonly kind: string;
  readonly workers: number;
  readonly queue_age_s: number;
  readonly waiting: number | null;
  readonly running: number | null;
  readonly dead: number | null;
}

export interface Allowance {
  readonly requests: number | null;
  readonly tokens: number | null;
  readonly sessions: number | null;
  readonly window_s: number;
}

export interface Status {
  readonly at: number;
  readonly version: string;
  readonly gateway_id: string | null;
  readonly readiness: { readonly status: string; readonly is_busy: boolean };
  readonly gateways: readonly Gateway[] | null;
  readonly work: readonly Work[];
  readonly store: { readonly is_available: boolean; readonly memory_share: number; readonly memory_level: string };
  readonly degraded: readonly string[];
  readonly breakers: readonly { readonly name: string; readonly state: string }[];
  readonly limits: {
    readonly all_tenants: Allowance;
    readonly tenant: Allowance;
    readonly key: Allowance;
    readonly used: readonly { readonly name: string; readonly limit: number; readonly remaining: number }[];
  };
  readonly sessions: { readonly total: number; readonly by_tenant: Readonly<Record<string, number>> } | null;
}

export const readStatus = (signal: AbortSignal) => ask<Status>('/v1/admin/status', { signal });
