// What the page tells a person: short notices, questions that want a yes, and what went wrong.

import type { Problem } from "../api/problem.ts";
import type { Words } from "../words/en.ts";

export interface Notice {
  id: number;
  kind: "good" | "bad";
  words: string;
  details: readonly string[];
}

export interface Question {
  title: string;
  words?: string;
  lines?: readonly string[]; // what it will do, line by line
  action: string; // what the button says: the verb, not "OK"
  danger?: boolean;
  typed?: string; // a word that must be typed first
}

const STAYS = 8_000; // ms; what went wrong stays until it is closed

class Telling {
  notices = $state.raw<readonly Notice[]>([]);
  question = $state.raw<(Question & { answer: (yes: boolean) => void }) | null>(null);
  #last = 0;

  /** Say that something is done. */
  say(words: string): void {
    const id = this.#add("good", words, []);
    window.setTimeout(() => this.close(id), STAYS);
  }

  /** Say what went wrong; it stays until it is closed. */
  fail(words: string, details: readonly string[] = []): void {
    this.#add("bad", words, details);
  }

  #add(kind: Notice["kind"], words: string, details: readonly string[]): number {
    const id = ++this.#last;
    this.notices = [...this.notices.filter((one) => one.words !== words).slice(-4), { id, kind, words, details }];
    return id;
  }

  close(id: number): void {
    this.notices = this.notices.filter((one) => one.id !== id);
  }

  /** Ask before something is done. */
  confirm(question: Question): Promise<boolean> {
    return new Promise((resolve) => {
      this.question = {
        ...question,
        answer: (yes) => {
          this.question = null;
          resolve(yes);
        },
      };
    });
  }
}

export const telling = new Telling();

/** What a problem means, in words for a person. The gateway's own words are best where it gave some. */
export function inWords(problem: Problem, words: Words, changing = true): string {
  if (problem.offline) return changing ? words.problem.offline : words.problem.offlineRead;
  if (problem.status === 412) return words.problem.changed;
  if (problem.message) return problem.message;
  if (problem.status === 403) return words.problem.forbidden;
  if (problem.status === 404) return words.problem.notFound;
  if (problem.status === 429) return words.problem.tooMany;
  if (problem.status === 502 || problem.status === 503) return words.problem.unavailable;
  return words.problem.unknown(problem.status);
}
