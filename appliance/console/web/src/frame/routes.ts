// Which view an address means. Pure: the history is in router.svelte.ts.

export type Params = Record<string, string>;

/** The parameters of `path` if it fits `pattern` ("/history/:number?"), else null. A "?" may be missing. */
export function match(pattern: string, path: string): Params | null {
  const wanted = pattern.split("/").filter(Boolean);
  const given = path.split("/").filter(Boolean);
  if (given.length > wanted.length) return null;
  const params: Params = {};
  for (const [index, part] of wanted.entries()) {
    const value = given[index];
    if (!part.startsWith(":")) {
      if (part !== value) return null;
      continue;
    }
    const optional = part.endsWith("?");
    if (value === undefined) {
      if (!optional) return null;
      continue;
    }
    try {
      params[part.slice(1, optional ? -1 : undefined)] = decodeURIComponent(value);
    } catch (error) {
      if (error instanceof URIError) return null;
      throw error;
    }
  }
  return params;
}

/** The address of a view: parameters put into its pattern, the optional ones that are missing left out. */
export function fill(pattern: string, params: Params = {}): string {
  const parts: string[] = [];
  for (const part of pattern.split("/").filter(Boolean)) {
    if (!part.startsWith(":")) {
      parts.push(part);
      continue;
    }
    const name = part.slice(1).replace(/\?$/, "");
    const value = params[name];
    if (value === undefined || value === "") {
      if (!part.endsWith("?")) throw new Error(`${pattern} needs ${name}`);
      break;
    }
    parts.push(encodeURIComponent(value));
  }
  return `/${parts.join("/")}`;
}

/** The first of `views` that a path fits, with its parameters. */
export function find<V extends { path: string }>(
  views: readonly V[],
  path: string,
): { view: V; params: Params } | null {
  for (const view of views) {
    const params = match(view.path, path);
    if (params) return { view, params };
  }
  return null;
}
