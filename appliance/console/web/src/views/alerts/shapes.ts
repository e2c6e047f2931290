// What the API says of alerts.

import type { AlertsNow } from "../../api/types.ts";

export interface Alert {
  readonly id: number;
  readonly at: number;
  readonly severity: number;
  readonly kind: string;
  readonly signature: string;
  readonly title: string;
  readonly category: string;
  readonly action: string;
  readonly source: string;
  readonly source_port: number;
  readonly destination: string;
  readonly destination_port: number;
  readonly protocol: string;
  readonly application: string;
  readonly interface: string;
  readonly rule: string;
  readonly from_zone: string;
  readonly to_zone: string;
  readonly generation: number;
  readonly tlp: string;
  readonly pseudonyms: boolean;
  readonly flow: string;
}

export interface AlertList {
  readonly alerts: readonly Alert[];
  readonly through: number;
}

/** The live event "alert". */
export interface AlertsLive extends AlertsNow {
  readonly after: number;
  readonly through: number;
  readonly alerts: readonly Alert[];
}

export interface Explained {
  readonly name: string;
  readonly words: string;
  readonly remedy: string;
  readonly confidence: string;
  readonly again: number;
  readonly technique: string;
  readonly technique_name: string;
}

export interface Beside {
  readonly id: number;
  readonly at: number;
  readonly type: string;
  readonly source: string;
  readonly destination: string;
  readonly rule: string;
  readonly action: string;
  readonly words: string;
}

export interface AlertShown {
  readonly alert: Alert;
  readonly explained?: Explained | null;
  readonly events: readonly Beside[];
  readonly rule: string;
  readonly left_out: number;
  readonly whole: boolean;
  readonly line: string;
  readonly why: string;
  readonly bannable: boolean;
  readonly packets: number;
}

export interface Fired {
  readonly gid: number;
  readonly sid: number;
  readonly kind: string;
  readonly title: string;
  readonly category: string;
  readonly severity: number;
  readonly count: number;
  readonly hour: number;
  readonly blocked: number;
  readonly last: number;
  readonly source?: string;
  readonly destination?: string;
}

export interface Counts {
  readonly hour: number;
  readonly day: number;
  readonly since: number;
  readonly signatures: readonly Fired[];
  readonly others: number;
}
