"""What policyd does with texts before applyd sees a bundle, and what it remembers of rules."""
