// Todas las palabras de la consola, en español.
import type { Words } from "./en.ts";
import { accountEs } from "./account.es.ts";
import { alertsEs } from "./alerts.es.ts";
import { frameEs } from "./frame.es.ts";
import { inspectionEs } from "./inspection.es.ts";
import { linesEs } from "./lines.es.ts";
import { nowEs } from "./now.es.ts";
import { noticesEs } from "./notices.es.ts";
import { recordsEs } from "./records.es.ts";
import { reportEs } from "./report.es.ts";
import { responseEs } from "./response.es.ts";
import { workshopEs } from "./workshop.es.ts";

export const es: Words = {
  ...frameEs,
  ...nowEs,
  ...alertsEs,
  ...workshopEs,
  ...accountEs,
  ...inspectionEs,
  ...linesEs,
  ...noticesEs,
  ...recordsEs,
  ...reportEs,
  ...responseEs,
};
