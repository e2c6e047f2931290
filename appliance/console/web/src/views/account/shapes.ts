// What the API says of accounts; api/agreement.ts holds these to it.

export interface Passkey {
  name: string;
  words: string;
  added: number;
  used: number;
  synced: boolean;
}

export interface Credentials {
  passkeys: Passkey[];
  passphrase: boolean;
  certificate: boolean;
  codes: number;
}

export interface App {
  secret: string;
  uri: string;
  ticket: string;
  picture: { size: number; path: string };
}

export interface Session {
  id: string;
  person: string;
  how: string;
  began: number;
  seen: number;
  until: number;
  address: string;
  device: string;
  mine: boolean;
}

export interface Token {
  id: string;
  person: string;
  label: string;
  scopes: string[];
  made: number;
  until: number;
  used: number;
}

export interface TokenMade {
  token: string;
  view: Token;
}

export interface Person {
  id: string;
  name: string;
  mail: string;
  roles: string[];
  zones: string[];
  break_glass: boolean;
  credentials: Credentials;
  invited: number;
  sessions: number;
  tokens: number;
}

export interface Wanted {
  person: string;
  name: string;
  by: string;
  reset: boolean;
  until: number;
}

export interface Link {
  person: string;
  link: string;
  until: number;
}
