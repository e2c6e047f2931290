// What the API says of lines, zones, connections and processes.

export type LineIs = "up" | "no carrier" | "off" | "missing";

export interface Side {
  readonly bytes?: number;
  readonly packets?: number;
  readonly errors?: number;
  readonly dropped?: number;
  readonly byte_rate?: number;
  readonly packet_rate?: number;
}

export interface Line {
  readonly name: string;
  readonly state: LineIs;
  readonly since?: number; // 0: for as long as anybody looked
  readonly zone?: string;
  readonly bridge?: string;
  readonly addresses?: readonly string[];
  readonly received?: Side;
  readonly sent?: Side;
}

/** GET /lines, and the live event "lines" */
export interface Lines {
  readonly generation: number;
  readonly at: number;
  readonly watched: number;
  readonly total: number;
  readonly lines: readonly Line[];
}

export interface Past {
  readonly times?: readonly number[];
  readonly received?: readonly number[];
  readonly sent?: readonly number[];
}

/** GET /lines/{name} */
export interface LineShown {
  readonly at: number;
  readonly line: Line;
  readonly past: Past;
}

export interface Zone {
  readonly name: string;
  readonly external: boolean;
  readonly antispoofing: boolean;
  readonly interfaces: readonly string[];
  readonly networks: readonly string[];
}

export interface Bridge {
  readonly name: string;
  readonly between: readonly string[];
  readonly inspect: string;
}

export interface Pair {
  readonly source: string;
  readonly destination: string;
  readonly rules: number;
}

/** GET /topology */
export interface Topology {
  readonly generation: number;
  readonly site: string;
  readonly zones: readonly Zone[];
  readonly bridges: readonly Bridge[];
  readonly pairs: readonly Pair[];
}

export interface Connection {
  readonly line: string;
  readonly zone: string;
  readonly provider: string;
  readonly officer: string;
  readonly mail: string;
  readonly phone: string;
  readonly state: LineIs | "";
  readonly since: number;
}

/** GET /connections */
export interface Connections {
  readonly generation: number;
  readonly at: number;
  readonly connections: readonly Connection[];
  readonly unregistered: readonly string[];
}

/** GET /health, and the live event "health" */
export interface Health {
  readonly processes: readonly {
    readonly name: string;
    readonly alive: boolean;
    readonly words?: string;
    readonly since?: number;
  }[];
  readonly as_of: number;
  readonly away?: string;
}
