// Every word of the console, in English. One line for each file of words; es.ts must have the same.
import { accountEn } from "./account.en.ts";
import { alertsEn } from "./alerts.en.ts";
import { frameEn } from "./frame.en.ts";
import { inspectionEn } from "./inspection.en.ts";
import { linesEn } from "./lines.en.ts";
import { nowEn } from "./now.en.ts";
import { noticesEn } from "./notices.en.ts";
import { recordsEn } from "./records.en.ts";
import { reportEn } from "./report.en.ts";
import { responseEn } from "./response.en.ts";
import { workshopEn } from "./workshop.en.ts";

export const en = {
  ...frameEn,
  ...nowEn,
  ...alertsEn,
  ...workshopEn,
  ...accountEn,
  ...inspectionEn,
  ...linesEn,
  ...noticesEn,
  ...recordsEn,
  ...reportEn,
  ...responseEn,
};

export type Words = typeof en;
