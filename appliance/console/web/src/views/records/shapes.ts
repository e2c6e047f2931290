// What the API says of the audit trail and of consumers, as these views want it.

export interface AuditLine {
  number: number;
  kept: boolean;
  at: number;
  process: string;
  actor: string;
  action: string;
  object: string;
  record: string;
  why: string;
  generation: number;
  origin: string;
  detail: Record<string, string>;
}

export interface Consumer {
  name: string;
  collections: string[];
  tlp: string;
  position: number;
  waiting: number;
  seen: number;
  owner: string;
  pushed: string;
  error: string;
}

export interface Consumers {
  consumers: Consumer[];
  last: number;
  used: number;
  size: number;
  room: string;
  listens: string[];
  fingerprint: string;
  words: string;
}
