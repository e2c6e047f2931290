// What the API says of devices.

export interface Device {
  readonly mac: string;
  readonly state: string;
  readonly first: number;
  readonly last: number;
  readonly zone?: string;
  readonly maker?: string;
  readonly names?: readonly string[];
  readonly addresses?: readonly string[];
  readonly by?: string;
  readonly how?: string;
  readonly quarantined?: boolean;
}

export interface DevicePage {
  readonly devices: readonly Device[];
  readonly total: number;
  readonly counts: Readonly<Record<string, number>>;
  readonly holding: readonly string[];
  readonly learning_until: number;
  readonly forgotten: number;
  readonly after: string;
}
