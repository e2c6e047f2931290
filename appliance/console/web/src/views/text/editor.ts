// CodeMirror over the text of a draft: what is typed goes out as edits, what others changed comes in, findings are underlined.
//
// It lives in a shadow root. There its styles are constructed sheets, which a policy of `style-src 'self'` lets through; in the
// document it would write a <style> element.

import {
  autocompletion,
  closeBrackets,
  completionKeymap,
  type CompletionContext,
  type CompletionResult,
} from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { bracketMatching, indentUnit } from "@codemirror/language";
import { lintGutter, lintKeymap, nextDiagnostic, setDiagnostics, type Diagnostic } from "@codemirror/lint";
import { highlightSelectionMatches, openSearchPanel, search, searchKeymap } from "@codemirror/search";
import { Annotation, Compartment, EditorState, Transaction, type Extension, type Text } from "@codemirror/state";
import { drawSelection, EditorView, highlightActiveLine, keymap, lineNumbers } from "@codemirror/view";

import type { Edit, Edits } from "../../workshop/edits.ts";
import type { Finding } from "../../workshop/shapes.ts";
import { colouring } from "./colouring.ts";

export interface Hooks {
  /** Somebody typed: edits of the text as it was before. */
  typed(edits: Edits): void;
  /** What may stand at an offset of the text as it is now; null for nothing. */
  complete(context: CompletionContext): Promise<CompletionResult | null>;
  /** The words of the editor's own parts (search, findings), from English to what is shown. */
  readonly phrases: Readonly<Record<string, string>>;
}

// So many findings are underlined; a text with more is mended from the top.
const MOST_FINDINGS = 500;
/** Marks changes that come from the gateway: they are not typed, and are not undone by who types. */
const remote = Annotation.define<boolean>();

export class PolicyEditor {
  readonly #view: EditorView;
  readonly #writable = new Compartment();
  #shown: readonly Finding[] = [];

  constructor(parent: HTMLElement, text: string, label: string, readOnly: boolean, hooks: Hooks) {
    const root = parent.shadowRoot ?? parent.attachShadow({ mode: "open" });
    this.#view = new EditorView({
      root,
      parent: root,
      state: EditorState.create({
        doc: text,
        extensions: [this.#extensions(label, hooks), this.#writable.of(locked(readOnly))],
      }),
    });
  }

  get text(): string {
    return this.#view.state.sliceDoc();
  }

  /** Edits that somebody else made to the text that is shown. */
  take(edits: Edits): void {
    if (edits.length === 0) return;
    this.#view.dispatch({
      changes: edits.map((edit) => ({ from: edit.start, to: edit.end, insert: edit.insert })),
      annotations: [remote.of(true), Transaction.addToHistory.of(false)],
    });
  }

  /** Underlines findings; what was underlined before goes. */
  show(findings: readonly Finding[]): void {
    if (same(findings, this.#shown)) return;
    this.#shown = findings;
    const document = this.#view.state.doc;
    const diagnostics = findings.slice(0, MOST_FINDINGS).map((finding) => diagnosticOf(finding, document));
    this.#view.dispatch(
      setDiagnostics(
        this.#view.state,
        diagnostics.sort((one, other) => one.from - other.from),
      ),
    );
  }

  lock(readOnly: boolean): void {
    this.#view.dispatch({ effects: this.#writable.reconfigure(locked(readOnly)) });
  }

  /** Puts the cursor at a line and column (from 1) and shows it. */
  go(line: number, column: number): void {
    const document = this.#view.state.doc;
    const at = document.line(Math.max(1, Math.min(line, document.lines)));
    const offset = Math.min(at.from + Math.max(0, column - 1), at.to);
    this.#view.dispatch({
      selection: { anchor: offset },
      effects: EditorView.scrollIntoView(offset, { y: "center" }),
    });
    this.#view.focus();
  }

  find(): void {
    openSearchPanel(this.#view);
  }

  nextFinding(): void {
    this.#view.focus();
    nextDiagnostic(this.#view);
  }

  destroy(): void {
    this.#view.destroy();
  }

  #extensions(label: string, hooks: Hooks): Extension {
    return [
      // Offsets are the API's: a line ends with \n, and a \r is a character like any other.
      EditorState.lineSeparator.of("\n"),
      EditorState.phrases.of(hooks.phrases),
      EditorView.contentAttributes.of({
        "aria-label": label,
        "aria-multiline": "true",
        spellcheck: "false",
        tabindex: "0",
      }),
      EditorView.updateListener.of((update) => {
        if (!update.docChanged || update.transactions.some((transaction) => transaction.annotation(remote))) return;
        const edits: Edit[] = [];
        update.changes.iterChanges((start, end, _from, _to, inserted) => {
          edits.push({ start, end, insert: inserted.sliceString(0, inserted.length, "\n") });
        });
        hooks.typed(edits);
      }),
      lineNumbers(),
      lintGutter(),
      history(),
      drawSelection(),
      highlightActiveLine(),
      highlightSelectionMatches(),
      bracketMatching(),
      closeBrackets(),
      indentUnit.of("  "),
      EditorView.lineWrapping,
      search({ top: true }),
      colouring,
      THEME,
      autocompletion({ override: [(context) => hooks.complete(context)], icons: false }),
      // Tab is left to the page: it leads out of the editor, as everywhere else.
      keymap.of([...completionKeymap, ...defaultKeymap, ...historyKeymap, ...searchKeymap, ...lintKeymap]),
    ];
  }
}

function locked(readOnly: boolean): Extension {
  return [EditorState.readOnly.of(readOnly), EditorView.editable.of(true)];
}

function same(one: readonly Finding[], other: readonly Finding[]): boolean {
  return (
    one.length === other.length &&
    one.every((finding, index) => {
      const there = other[index];
      return (
        there !== undefined &&
        finding.line === there.line &&
        finding.column === there.column &&
        finding.message === there.message
      );
    })
  );
}

/** A finding has a place and no end: what is underlined is the word there, or the line. */
function diagnosticOf(finding: Finding, document: Text): Diagnostic {
  const line = document.line(Math.max(1, Math.min(finding.line, document.lines)));
  const start = Math.min(Math.max(0, finding.column - 1), line.length);
  const word = /^(?:"[^"]*"|'[^']*'|[^\s,\]}#]+)/.exec(line.text.slice(start));
  const from = word === null ? line.from + (line.text.length - line.text.trimStart().length) : line.from + start;
  const to = word === null ? line.to : from + word[0].length;
  return {
    from,
    to: Math.max(from, to),
    severity: finding.severity === "error" ? "error" : finding.severity === "warning" ? "warning" : "info",
    message: finding.remedy ? `${finding.message}\n${finding.remedy}` : finding.message,
  };
}

const THEME = EditorView.theme({
  "&": { height: "100%", color: "var(--ink)", backgroundColor: "var(--paper)", fontSize: "0.875rem" },
  "&.cm-focused": { outline: "2px solid var(--focus)", outlineOffset: "-2px" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.5" },
  ".cm-content": { caretColor: "var(--ink)" },
  ".cm-cursor": { borderLeftColor: "var(--ink)", borderLeftWidth: "2px" },
  ".cm-gutters": { backgroundColor: "var(--sunk)", color: "var(--ink-soft)", borderRight: "1px solid var(--line)" },
  ".cm-activeLine": { backgroundColor: "var(--sheet)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": {
    backgroundColor: "var(--accent-soft)",
  },
  ".cm-policy-key": { color: "var(--accent)" },
  ".cm-policy-comment": { color: "var(--ink-soft)", fontStyle: "italic" },
  ".cm-policy-mark": { color: "var(--ink-soft)" },
  ".cm-policy-quoted": { color: "var(--good)" },
  ".cm-panels": { backgroundColor: "var(--sunk)", color: "var(--ink)", borderColor: "var(--line)" },
  ".cm-textfield": {
    backgroundColor: "var(--paper)",
    border: "1px solid var(--edge)",
    color: "var(--ink)",
    fontSize: "1em",
  },
  ".cm-button": {
    backgroundImage: "none",
    backgroundColor: "var(--paper)",
    border: "1px solid var(--edge)",
    color: "var(--ink)",
    minHeight: "1.75rem",
  },
  ".cm-tooltip": { backgroundColor: "var(--paper)", border: "1px solid var(--edge)", color: "var(--ink)" },
  ".cm-tooltip-autocomplete ul li[aria-selected]": { backgroundColor: "var(--accent)", color: "var(--on-accent)" },
  ".cm-completionDetail": { color: "inherit", fontStyle: "normal", opacity: "0.85" },
  // The pictures of findings are data: addresses, which the content security policy has no place for; these are drawn by the style.
  ".cm-lintRange": {
    backgroundImage: "none !important",
    textDecoration: "underline wavy 1.5px",
    textUnderlineOffset: "3px",
  },
  ".cm-lintRange-error": { textDecorationColor: "var(--bad)" },
  ".cm-lintRange-warning": { textDecorationColor: "var(--warn)" },
  ".cm-lintRange-info": { textDecorationColor: "var(--quiet)" },
  ".cm-lint-marker": {
    content: "normal !important",
    width: "1em",
    height: "1em",
    lineHeight: "1",
    textAlign: "center",
    fontWeight: "700",
  },
  ".cm-lint-marker-error": { content: "normal !important", color: "var(--bad)" },
  ".cm-lint-marker-warning": { content: "normal !important", color: "var(--warn)" },
  ".cm-lint-marker-info": { content: "normal !important", color: "var(--quiet)" },
  ".cm-lint-marker-error::before": { content: '"✕"' },
  ".cm-lint-marker-warning::before": { content: '"!"' },
  ".cm-lint-marker-info::before": { content: '"i"' },
  ".cm-diagnostic": { borderLeftWidth: "4px", whiteSpace: "pre-wrap", maxWidth: "40rem" },
});
