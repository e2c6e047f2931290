// What the API says of inspection and of indicators.

export interface Profile {
  readonly name: string;
  readonly rules: readonly string[];
  readonly unavailable: string;
  readonly depth: number;
  readonly reactions: readonly string[];
  readonly thresholds: readonly string[];
  readonly feeds: readonly string[];
  readonly description: string;
}

export interface Feed {
  readonly name: string;
  readonly origin: string;
  readonly refresh: number;
  readonly trial: number;
  readonly description: string;
}

export interface Suppression {
  readonly id: string;
  readonly signatures: readonly string[];
  readonly action: string;
  readonly conditions: readonly string[];
  readonly owner: string;
  readonly why: string;
  readonly ticket: string;
  readonly expires_at: number;
}

export interface Inspection {
  readonly generation: number;
  readonly profiles: readonly Profile[];
  readonly feeds: readonly Feed[];
  readonly suppressions: readonly Suppression[];
}

export interface Indicator {
  readonly id: string;
  readonly source: string;
  readonly name: string;
  readonly tlp: string;
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
  readonly in_force: Readonly<Record<string, number>>;
  readonly sources?: readonly Source[];
  readonly words?: readonly string[];
}
