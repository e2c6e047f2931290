// How a person wants to see the console: theme, language, and whose clock.

import { en, type Words } from "../words/en.ts";
import { keep, kept } from "./keep.ts";

export const THEMES = ["auto", "light", "dark"] as const;
export const LANGUAGES = ["en", "es"] as const;
export const CLOCKS = ["local", "utc"] as const;
export type Theme = (typeof THEMES)[number];
export type Language = (typeof LANGUAGES)[number];
export type Clock = (typeof CLOCKS)[number];

class Wishes {
  theme = $state<Theme>(kept("theme", THEMES, "auto"));
  clock = $state<Clock>(kept("clock", CLOCKS, "local"));
  language = $state<Language>("en");
  /** All words of the console in the chosen language. */
  words = $state.raw<Words>(en);

  /** Show the theme and fetch the language; before the first view is drawn. */
  async begin(): Promise<void> {
    this.#showTheme();
    const asked = navigator.languages.some((one) => /^(en|es)\b/.test(one))
      ? (navigator.languages.find((one) => /^(en|es)\b/.test(one)) ?? "en").slice(0, 2)
      : "en";
    await this.speak(kept("language", LANGUAGES, asked === "es" ? "es" : "en"), false);
  }

  #showTheme(): void {
    if (this.theme === "auto") delete document.documentElement.dataset["theme"];
    else document.documentElement.dataset["theme"] = this.theme;
  }

  wear(theme: Theme): void {
    this.theme = theme;
    keep("theme", theme);
    this.#showTheme();
  }

  async speak(language: Language, remember = true): Promise<void> {
    this.words = language === "es" ? (await import("../words/es.ts")).es : en;
    this.language = language;
    document.documentElement.lang = language;
    if (remember) keep("language", language);
  }

  goBy(clock: Clock): void {
    this.clock = clock;
    keep("clock", clock);
  }
}

export const wishes = new Wishes();
