// The way of a packet through the gateway as stations on a line, from what `why` says. Pure.

import type { WhyAnswer } from "./shapes.ts";

/** passes: it went on. changes: its addresses did. ends: here it was stopped. */
export type Fate = "passes" | "changes" | "ends";

export interface Station {
  readonly kind: string;
  readonly name: string;
  readonly fate: Fate;
  readonly words: string;
}

/** The stations from the sender to where the packet ended; the receiver is one only if it got there. */
export function stationsOf(answer: WhyAnswer): Station[] {
  const passes = answer.action === "allow";
  const stopped = passes ? -1 : stopping(answer);
  const found: Station[] = [{ kind: "from", name: answer.source, fate: "passes", words: answer.source_zone }];
  answer.steps.forEach((step, index) => {
    // What lasts and what is nearly decided are said in words; they are no places on the way.
    if (step.kind === "lasts" || step.kind === "limit") return;
    found.push({
      kind: step.kind,
      name: nameOf(answer, step.kind),
      fate: fateOf(answer, step.kind, index === stopped),
      words: step.words,
    });
  });
  if (passes)
    found.push({
      kind: "to",
      name: answer.leaves_to || answer.destination,
      fate: "passes",
      words: answer.destination_zone,
    });
  return found;
}

/** The step that stops the packet: the last of those that can. */
function stopping(answer: WhyAnswer): number {
  const kinds = answer.steps.map((step) => step.kind);
  if (answer.rule === "antispoofing") return kinds.lastIndexOf("source");
  return Math.max(kinds.lastIndexOf("decision"), kinds.lastIndexOf("ban"), kinds.lastIndexOf("quarantine"));
}

function fateOf(answer: WhyAnswer, kind: string, stops: boolean): Fate {
  if (stops) return "ends";
  const translated = kind === "nat" ? answer.destination_nat : kind === "leaves" ? answer.source_nat : "";
  return translated === "" ? "passes" : "changes";
}

function nameOf(answer: WhyAnswer, kind: string): string {
  if (kind === "enters") return answer.enters;
  if (kind === "nat") return answer.destination_nat;
  if (kind === "route") return answer.via || answer.leaves;
  if (kind === "decision" || kind === "ban") return answer.rule;
  if (kind === "inspection") return answer.inspect;
  if (kind === "leaves") return answer.source_nat || answer.leaves;
  return "";
}

/** Where stations stand: in rows of `perRow`, each row going on where the one before ended, as a snake. */
export interface Placed extends Station {
  readonly x: number;
  readonly y: number;
}

export interface Drawing {
  readonly width: number;
  readonly height: number;
  readonly stations: readonly Placed[];
  readonly lines: readonly { readonly from: Placed; readonly to: Placed }[];
}

export const BOX = { width: 150, height: 64, gap: 44 } as const;

export function drawn(stations: readonly Station[], width: number): Drawing {
  const step = BOX.width + BOX.gap;
  const perRow = Math.max(1, Math.floor((width + BOX.gap) / step));
  const placed = stations.map((station, index) => {
    const row = Math.floor(index / perRow);
    const column = row % 2 === 0 ? index % perRow : perRow - 1 - (index % perRow);
    return { ...station, x: column * step, y: row * (BOX.height + BOX.gap) };
  });
  const lines = placed.slice(1).map((to, index) => ({ from: placed[index] ?? to, to }));
  const rows = Math.ceil(stations.length / perRow);
  const columns = Math.min(perRow, stations.length);
  return {
    width: columns * step - BOX.gap,
    height: rows * (BOX.height + BOX.gap) - BOX.gap,
    stations: placed,
    lines,
  };
}
