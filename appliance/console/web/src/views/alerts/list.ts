// What a page knows of the alerts, and what each live event adds to it. Pure.

import { holds, spanOf } from "../../workshop/addresses.ts";
import type { Alert, AlertsLive } from "./shapes.ts";

/** The newest first; everything that is wanted up to number `through`, as far back as it goes. */
export interface Known {
  readonly rows: readonly Alert[];
  readonly through: number;
}

/** What is asked for; "" and 0 are everything. */
export interface Filter {
  readonly severity: number;
  readonly kind: string;
  readonly rule: string;
  readonly signature: string;
  readonly address: string;
}

export const MOST = 2000;

/** With what came; null where the event tells of more than what is missing: then the list is asked for anew. */
export function added(known: Known, event: AlertsLive, wanted: (alert: Alert) => boolean): Known | null {
  if (event.after > known.through) return null;
  const news = event.alerts.filter((one) => one.id > known.through && wanted(one));
  if (news.length === 0) return { rows: known.rows, through: Math.max(known.through, event.through) };
  const rows = [...news.reverse(), ...known.rows].slice(0, MOST);
  return { rows, through: Math.max(known.through, event.through) };
}

/** The choice that the gateway makes, for those that come while the page is open. */
export function wanting(filter: Filter): (alert: Alert) => boolean {
  const network = spanOf(filter.address.trim());
  const signature = /^(?:(\d{1,10}):)?(\d{1,10})$/.exec(filter.signature.trim());
  const words = filter.signature.trim().toLowerCase();
  const within = (address: string): boolean => {
    const one = spanOf(address);
    return network !== null && one !== null && holds(network, one);
  };
  return (alert) =>
    (filter.severity === 0 || (alert.severity > 0 && alert.severity <= filter.severity)) &&
    (filter.kind === "" || alert.kind === filter.kind) &&
    (filter.rule.trim() === "" || alert.rule === filter.rule.trim()) &&
    (filter.address.trim() === "" || within(alert.source) || within(alert.destination)) &&
    (signature === null
      ? alert.title.toLowerCase().includes(words)
      : alert.signature === (signature[1] === undefined ? alert.signature : signature[0]) &&
        alert.signature.split(":")[1] === signature[2]);
}

/** `10.20.0.12:443`, `[2001:db8::7]:443`; "" where nobody is named. */
export function end(address: string, port: number): string {
  if (address === "" || port === 0) return address;
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}
