// Where zones and lines stand in the picture: those that lead outside above the gateway, the others below. Pure.

import type { Bridge, Line, Zone } from "./shapes.ts";

export interface Box {
  name: string;
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface Stroke {
  line: string;
  x1: number;
  y1: number;
  x2: number;
  y2: number;
}

export interface Picture {
  width: number;
  height: number;
  gateway: Box;
  zones: Box[];
  bridges: Box[];
  strokes: Stroke[];
}

const WIDTH = 130;
const GAP = 20;
const HEIGHT = 54;
const REACH = 84; // between a row of zones and the gateway

function row(names: readonly string[], y: number, width: number): Box[] {
  const whole = names.length * WIDTH + (names.length - 1) * GAP;
  return names.map((name, index) => ({
    name,
    x: (width - whole) / 2 + index * (WIDTH + GAP),
    y,
    width: WIDTH,
    height: HEIGHT,
  }));
}

/** The picture of zones with their lines, and of bridges, whose lines meet no rule. */
export function picture(zones: readonly Zone[], bridges: readonly Bridge[]): Picture {
  const outside = zones.filter((zone) => zone.external);
  const inside = zones.filter((zone) => !zone.external);
  const below = [...inside.map((zone) => zone.name), ...bridges.map((bridge) => bridge.name)];
  const most = Math.max(outside.length, below.length, 3);
  const width = most * WIDTH + (most + 1) * GAP;
  const above = outside.length > 0 ? HEIGHT + REACH : 0;
  const gateway = { name: "gateway", x: GAP, y: above + 1, width: width - 2 * GAP, height: 40 };
  const under = gateway.y + gateway.height + REACH;
  const top = row(
    outside.map((zone) => zone.name),
    1,
    width,
  );
  const bottom = row(below, under, width);
  const boxes = [...top, ...bottom.slice(0, inside.length)];
  const strokes: Stroke[] = [];
  for (const [index, zone] of [...outside, ...inside].entries()) {
    const box = boxes[index];
    if (box === undefined) continue;
    const up = zone.external;
    for (const [at, line] of zone.interfaces.entries()) {
      const x = box.x + (box.width * (at + 1)) / (zone.interfaces.length + 1);
      const [from, to] = up ? [box.y + box.height, gateway.y] : [gateway.y + gateway.height, box.y];
      strokes.push({ line, x1: x, y1: from, x2: x, y2: to });
    }
  }
  return {
    width,
    height: below.length > 0 ? under + HEIGHT + 1 : gateway.y + gateway.height + 1,
    gateway,
    zones: boxes,
    bridges: bottom.slice(inside.length),
    strokes,
  };
}

/** How thick a line is drawn: by the power of ten of what passes it, so that a little is seen beside much. */
export function thickness(line: Line | undefined): number {
  const rate = Math.max(0, line?.received?.byte_rate ?? 0) + Math.max(0, line?.sent?.byte_rate ?? 0);
  return Math.min(14, 2 + 1.7 * Math.log10(1 + rate / 100));
}

/** What is wrong with a line itself: errors and drops of both sides. */
export function errors(line: Line): number {
  const sides = [line.received, line.sent];
  return sides.reduce((sum, side) => sum + (side?.errors ?? 0) + (side?.dropped ?? 0), 0);
}

export const rates = (line: Line): [number, number] => [line.received?.byte_rate ?? -1, line.sent?.byte_rate ?? -1];
