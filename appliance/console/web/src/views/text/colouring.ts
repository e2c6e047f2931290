// The colours of a policy's lines, found in the lines that are in sight and nowhere else. The language is a strict kind of YAML without
// words that run over lines, so a line tells all; a parser of all ten thousand rules at each keystroke would cost what typing has.

import { RangeSetBuilder } from "@codemirror/state";
import { Decoration, EditorView, ViewPlugin, type DecorationSet, type ViewUpdate } from "@codemirror/view";

import { piecesOf, type PieceKind } from "../../workshop/colours.ts";

const MARKS: Readonly<Record<PieceKind, Decoration>> = {
  key: Decoration.mark({ class: "cm-policy-key" }),
  comment: Decoration.mark({ class: "cm-policy-comment" }),
  mark: Decoration.mark({ class: "cm-policy-mark" }),
  quoted: Decoration.mark({ class: "cm-policy-quoted" }),
};

function drawn(view: EditorView): DecorationSet {
  const found = new RangeSetBuilder<Decoration>();
  for (const { from, to } of view.visibleRanges) {
    for (let at = from; at <= to;) {
      const line = view.state.doc.lineAt(at);
      for (const piece of piecesOf(line.text))
        found.add(line.from + piece.from, line.from + piece.to, MARKS[piece.kind]);
      at = line.to + 1;
    }
  }
  return found.finish();
}

export const colouring = ViewPlugin.fromClass(
  class {
    decorations: DecorationSet;

    constructor(view: EditorView) {
      this.decorations = drawn(view);
    }

    update(update: ViewUpdate): void {
      if (update.docChanged || update.viewportChanged) this.decorations = drawn(update.view);
    }
  },
  { decorations: (plugin) => plugin.decorations },
);
