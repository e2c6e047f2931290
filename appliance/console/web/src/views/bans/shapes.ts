// What the API says of bans, of the allow-list and of the gate.

export interface Ban {
  readonly address: string;
  readonly by: string;
  readonly reason: string;
  readonly since: number;
  readonly until: number;
  readonly owner?: string;
}

export interface BanPage {
  readonly bans: readonly Ban[];
  readonly total: number;
  readonly exact: boolean;
  readonly after: string;
}

export interface Flow {
  readonly protocol: string;
  readonly source: string;
  readonly source_port: number;
  readonly destination: string;
  readonly destination_port: number;
}

export interface Effect {
  readonly refused: readonly { readonly address: string; readonly code: string; readonly why: string }[];
  readonly inside: readonly { readonly address: string; readonly where: string }[];
  readonly banned: readonly Ban[];
  readonly oneself: boolean;
  readonly cut: number;
  readonly flows: readonly Flow[];
}

export interface Allowed {
  readonly address: string;
  readonly by: string;
  readonly owner: string;
  readonly reason: string;
  readonly since?: number;
  readonly until?: number;
  readonly origin?: string;
}

export interface AllowPage {
  readonly entries: readonly Allowed[];
  readonly total: number;
  readonly after: string;
}

export interface Count {
  readonly packets: number;
  readonly bytes: number;
}

export interface Gate {
  readonly words?: string;
  readonly lines?: readonly {
    readonly interface: string;
    readonly zone: string;
    readonly mode: string;
    readonly words?: string;
    readonly counts?: Readonly<Record<string, Count>>;
  }[];
  readonly lists?: readonly {
    readonly name: string;
    readonly number: number;
    readonly entries: number;
    readonly dropped: Count;
  }[];
}

export interface PrefixPage {
  readonly entries: readonly { readonly address: string; readonly list: string }[];
  readonly total: number;
  readonly after: string;
}
