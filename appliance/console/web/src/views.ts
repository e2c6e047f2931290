// Every view of the console: one line each, in the order of the navigation. The first that fits an address is shown.

import type { View } from "./frame/view.ts";
import { health } from "./views/health/index.ts";
import { overview } from "./views/overview/index.ts";

export const VIEWS: readonly View[] = [overview, health];
