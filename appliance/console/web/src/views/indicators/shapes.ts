// What the API says of indicators.

export interface Indicator {
  readonly id: string;
  readonly source: string;
  readonly name: string;
  readonly tlp: string;
  readonly confidence: number | null;
  readonly values: readonly (readonly [string, string, string, string])[];
  readonly why: readonly (readonly [string, string])[];
  readonly seen: number;
  readonly until: number;
  readonly hits?: number;
  readonly last_hit?: number;
}

export interface Source {
  readonly name: string;
  readonly address: string;
  readonly indicators: number;
  readonly fetched?: number;
  readonly error?: string;
}

export interface Indicators {
  readonly indicators: readonly Indicator[];
  readonly total: number;
  readonly exact?: boolean;
  readonly after?: number;
  readonly in_force: Readonly<Record<string, number>>;
  readonly sources?: readonly Source[];
  /** Value, who asked, who agreed, why, until. */
  readonly overrides?: readonly (readonly [string, string, string, string, number])[];
  readonly words?: readonly string[];
}

export interface Overridden {
  readonly value: string;
  readonly first: string;
  readonly second: string;
  readonly until: number;
}
