"""What every process has that answers over HTTP: where it listens, its connections and their deadlines."""
