// What the frame itself asks for.

export type Permission = "look" | "edit" | "approve" | "apply" | "respond" | "audit" | "administer";

/** GET /me */
export interface Me {
  person: string;
  name: string;
  roles: string[];
  permissions: Permission[];
  zones: string[];
  ends?: number; // when the session ends if nothing is done, seconds since the epoch
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
  problems: string[];
}
