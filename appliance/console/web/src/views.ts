// Every view of the console: one line each, in the order of the navigation. The first that fits an address is shown.

import type { View } from "./frame/view.ts";
import { account, people } from "./views/account/index.ts";
import { alerts } from "./views/alerts/index.ts";
import { connections } from "./views/connections/index.ts";
import { flows } from "./views/flows/index.ts";
import { lines } from "./views/lines/index.ts";
import { bans } from "./views/bans/index.ts";
import { calendar } from "./views/calendar/index.ts";
import { changes } from "./views/changes/index.ts";
import { devices } from "./views/devices/index.ts";
import { health } from "./views/health/index.ts";
import { history } from "./views/history/index.ts";
import { indicators } from "./views/indicators/index.ts";
import { inspection } from "./views/inspection/index.ts";
import { notices } from "./views/notices/index.ts";
import { objects } from "./views/objects/index.ts";
import { overview } from "./views/overview/index.ts";
import { audit, consumers } from "./views/records/index.ts";
import { report } from "./views/report/index.ts";
import { rules } from "./views/rules/index.ts";
import { text } from "./views/text/index.ts";
import { why } from "./views/why/index.ts";

// prettier-ignore
export const VIEWS: readonly View[] = [
  overview,
  alerts,
  notices,
  health,
  lines,
  flows,
  rules,
  text,
  objects,
  changes,
  history,
  calendar,
  why,
  connections,
  bans,
  devices,
  indicators,
  inspection,
  report,
  audit,
  consumers,
  account,
  people,
];
