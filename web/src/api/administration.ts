// Tenants, keys and the state of the server: `/v1/admin`.

import { ask, type Page } from './rest';

export interface Tenant {
  readonly id: string;
  readonly name: string;
  readonly suspended_at: number | null;
}

export interface ApiKey {
  readonly id: string;
  readonly name: string;
  readonly scopes: readonly string[];
  readonly created_at: number;
  readonly expires_at: number | null;
  readonly revoked_at: number | null;
}

export interface ShownKey extends ApiKey {
  readonly key: string;
}

export interface Usage {
  readonly data: readonly ({ readonly day: string } & Readonly<Record<string, number | string>>)[];
  readonly total: Readonly<Record<string, number>>;
}

const path = (...parts: string[]) => ['/v1/admin', ...parts.map(encodeURIComponent)].join('/');

export const listTenants = (signal: AbortSignal) => ask<Page<Tenant>>(`${path('tenants')}?limit=100`, { signal });

export const setSuspended = (tenant: string, isSuspended: boolean) =>
  ask<Tenant>(path('tenants', tenant, isSuspended ? 'suspend' : 'resume'), { method: 'POST' });

export const createTenant = (id: string, name: string) =>
  ask<Tenant>(path('tenants'), { method: 'POST', body: { id, name } });

export const listKeys = (tenant: string, signal: AbortSignal) =>
  ask<Page<ApiKey>>(`${path('tenants', tenant, 'keys')}?limit=100`, { signal });

export const createKey = (tenant: string, name: string, scopes: readonly string[]) =>
  ask<ShownKey>(path('tenants', tenant, 'keys'), { method: 'POST', body: { name, scopes } });

export const rotateKey = (tenant: string, key: string) =>
  ask<ShownKey>(path('tenants', tenant, 'keys', key, 'rotate'), { method: 'POST' });

export const revokeKey = (tenant: string, key: string) =>
  ask<ApiKey>(path('tenants', tenant, 'keys', key), { method: 'DELETE' });

export const readUsage = (tenant: string, signal: AbortSignal) =>
  ask<Usage>(path('tenants', tenant, 'usage'), { signal });
