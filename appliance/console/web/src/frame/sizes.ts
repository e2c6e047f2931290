// Amounts of bytes as people read them, in decimal units. Pure.

const UNITS = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"] as const;

function scaled(bytes: number, language: string, per: "" | "-per-second"): string {
  const step = Math.min(UNITS.length - 1, bytes >= 1 ? Math.floor(Math.log10(bytes) / 3) : 0);
  const unit = `${UNITS[step] ?? "byte"}${per}`;
  const shape = { style: "unit", unit, unitDisplay: "short", maximumFractionDigits: step === 0 ? 0 : 1 } as const;
  return new Intl.NumberFormat(language, shape).format(bytes / 1000 ** step);
}

/** 1400 -> "1.4 kB". */
export function size(bytes: number, language: string): string {
  return scaled(bytes, language, "");
}

/** 1400 -> "1.4 kB/s"; what is below 0 is not known. */
export function speed(bytes: number, language: string): string {
  return bytes < 0 ? "–" : scaled(bytes, language, "-per-second");
}
