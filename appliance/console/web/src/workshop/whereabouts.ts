// Where something stands in a text of a policy, for whoever comes to change it. Pure.

/** The line (from 1) of `section.name`, or else of the section; 0 where neither is there. */
export function lineOf(text: string, place: string): number {
  const [section = "", name = ""] = place.split(/\.(.*)/s);
  if (section === "") return 0;
  const lines = text.split("\n");
  const begin = lines.findIndex((line) => line.startsWith(`${section}:`));
  if (begin < 0) return 0;
  for (let at = begin + 1; name !== "" && at < lines.length; at++) {
    const line = lines[at] ?? "";
    if (/^[^\s#]/.test(line)) break; // the next section
    const key = /^\s+["']?([^"'\s:]+)["']?\s*:/.exec(line)?.[1];
    if (key === name) return at + 1;
  }
  return begin + 1;
}
