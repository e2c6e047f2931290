// What the API says of inspection.

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
