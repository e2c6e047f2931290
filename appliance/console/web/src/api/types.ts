// What the frame itself asks for.

export type Permission = "look" | "edit" | "approve" | "apply" | "respond" | "audit" | "administer";

/** GET /me */
export interface Me {
  person: string;
  name: string;
  roles: string[];
  permissions: Permission[];
  zones: string[];
  idle?: number; // seconds without a request after which the session ends
  until?: number; // when it ends at the latest, seconds since the epoch
}

export interface ProcessHealth {
  name: string;
  alive: boolean;
  words: string;
}

/** GET /status, and the live event "status" */
export interface Status {
  site: string;
  generation: number;
  confirmed: number;
  confirm_by: number; // seconds since the epoch; 0 when nothing waits to be confirmed
  drift: string; // "" when the kernel holds what the generation says
  omitted: string[];
  processes: ProcessHealth[];
  problems: Wrong[];
  as_of: number; // when all of it was so, seconds since the epoch
  away: string; // why nothing newer is known, "" when it is
}

/** `kind`: process, drift, omitted, decides, unknown, bridge */
export interface Wrong {
  kind: string;
  words: string;
}

/** Of every live event "alert": how many came, and since when that is not known. */
export interface AlertsNow {
  readonly hour: number;
  readonly day: number;
  readonly away: string; // why alerts are not known now, "" while they are
  readonly as_of: number; // seconds since the epoch; 0: never
}
