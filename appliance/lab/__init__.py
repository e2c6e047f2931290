"""Sites made of network namespaces: the demonstration, the netns tests and the bench."""
