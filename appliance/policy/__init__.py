"""Pure: policy text -> model -> proof -> artefacts. Nothing in this folder does I/O."""
