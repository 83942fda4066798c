// Events on the wire. Fields of an event are read where they are used; a server may send types that we do not know.

/** An event of the server: `type`, `event_id`, and the fields of its type. */
export interface ServerEvent {
  readonly type: string;
  readonly event_id?: string;
  readonly [field: string]: any;
}

/** An event of the client. `event_id` is added when it is sent. */
export interface ClientEvent {
  readonly type: string;
  readonly event_id?: string;
  readonly [field: string]: unknown;
}

/** Events of our own; a client resumes after the last event that is none of them. */
export const OWN_PREFIX = 'agentvoicebox.';
