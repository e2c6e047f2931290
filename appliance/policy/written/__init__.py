"""What a person may write: the text, its keys and kinds of value, its canonical form, edits of single lines."""
