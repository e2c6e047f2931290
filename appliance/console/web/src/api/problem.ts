// What went wrong with a request: RFC 9457, or no answer at all.

export interface Finding {
  file: string;
  line: number;
  column: number;
  message: string;
  remedy: string;
  severity: string;
}

interface Told {
  title?: string;
  detail?: string;
  code?: string;
  findings?: Finding[];
  [extra: string]: unknown;
}

/** `status` is the HTTP status; 0 when no answer came (offline, or the gateway is away). */
export class Problem extends Error {
  readonly status: number;
  readonly code: string;
  readonly title: string;
  readonly findings: readonly Finding[];
  readonly told: Told;

  constructor(status: number, told: Told) {
    super(told.detail ?? told.title ?? "");
    this.name = "Problem";
    this.status = status;
    this.code = told.code ?? "";
    this.title = told.title ?? "";
    this.findings = told.findings ?? [];
    this.told = told;
  }

  get offline(): boolean {
    return this.status === 0;
  }
}

function isTold(value: unknown): value is Told {
  return typeof value === "object" && value !== null;
}

/** The problem that an answer which is not ok tells of; a proxy's page of HTML counts as one without words. */
export async function problemOf(answer: Response): Promise<Problem> {
  const text = await answer.text();
  if (answer.headers.get("Content-Type")?.includes("json")) {
    try {
      const told: unknown = JSON.parse(text);
      if (isTold(told)) return new Problem(answer.status, told);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
    }
  }
  return new Problem(answer.status, { title: answer.statusText });
}
